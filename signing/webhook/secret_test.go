package webhook

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// TestSecret holds the HMAC to the example of the Standard Webhooks specification.
func TestSecret(t *testing.T) {
	secret, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	if err != nil {
		t.Fatal(err)
	}
	content := `msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}`
	if got, want := base64.StdEncoding.EncodeToString(secret.sign([]byte(content))), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got HMAC %s, want %s", got, want)
	}
	if string(secret.Forging().sign([]byte(content))) == string(secret.sign([]byte(content))) {
		t.Error("a forging secret signs as the secret does, want another HMAC")
	}
	if said := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(said, "MfKQ") || strings.Contains(said, "31 f2") || !strings.Contains(said, "[secret]") {
		t.Errorf("got %q, want the secret hidden", said)
	}
	of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, want := range map[string]string{
		of(24): "", of(64): "", of(23): "23 bytes", of(65): "65 bytes", "": "begin", of(32)[6:]: "begin", "whsec_": "0 bytes",
		"whsec_!!!!": "base64", "whsec_" + strings.Repeat("A", 33): "base64",
	} {
		if _, err := ParseSecret(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.12q of %d: got %v, want %q", text, len(text), err, want)
		}
	}
}
