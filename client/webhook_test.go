package client

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The signature of scheme v1a of the Standard Webhooks specification, made here by hand.
func signedWebhook(t *testing.T, key ed25519.PrivateKey, id string, at time.Time, body string) http.Header {
	t.Helper()
	stamp := strconv.FormatInt(at.Unix(), 10)
	signature := ed25519.Sign(key, []byte(id+"."+stamp+"."+body))
	return http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {"v1a," + base64.StdEncoding.EncodeToString(signature)},
	}
}

func TestVerifyWebhook(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	set := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`,
		base64.RawURLEncoding.EncodeToString(public))
	keys, err := ParseWebhookKeys([]byte(set))
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	const body = `{"id":"e1","type":"signing.failed","timestamp":"2026-11-22T08:59:00Z","data":{"token":"t","status":"failed","reason":{"code":"c","text":"x"},"client":"acme","new":1}}`
	good := signedWebhook(t, private, "e1", now, body)
	event, err := VerifyWebhook(good, []byte(body), keys, now, 0)
	if err != nil || event.ID != "e1" || event.Type != WebhookFailed || event.Data.Token != "t" || event.Data.Reason.Code != "c" {
		t.Fatalf("got %+v, %v", event, err)
	}
	both := good.Clone() // the former key's signature next to another's, and one of another scheme
	both.Set("Webhook-Signature", "v1,AAAA v1a,!!!! "+signedWebhook(t, stranger, "e1", now, body).Get("Webhook-Signature")+" "+good.Get("Webhook-Signature"))
	if _, err := VerifyWebhook(both, []byte(body), keys, now, 0); err != nil {
		t.Errorf("one of several signatures: got %v", err)
	}
	without := func(name string) http.Header { h := good.Clone(); h.Del(name); return h }
	with := func(name, value string) http.Header { h := good.Clone(); h.Set(name, value); return h }
	const otherID = `{"id":"e2","type":"signing.failed","data":{}}`
	for name, row := range map[string]struct {
		header http.Header
		body   string
		now    time.Time
	}{
		"no id":             {without("Webhook-Id"), body, now},
		"no timestamp":      {without("Webhook-Timestamp"), body, now},
		"no signature":      {without("Webhook-Signature"), body, now},
		"another id":        {with("Webhook-Id", "e2"), body, now},
		"a word for a time": {with("Webhook-Timestamp", "now"), body, now},
		"another time":      {with("Webhook-Timestamp", strconv.FormatInt(now.Unix()+1, 10)), body, now},
		"old":               {good, body, now.Add(5*time.Minute + time.Second)},
		"from the future":   {good, body, now.Add(-5*time.Minute - time.Second)},
		"another body":      {good, strings.Replace(body, "failed", "signed", 1), now},
		"a stranger's key":  {signedWebhook(t, stranger, "e1", now, body), body, now},
		"too many":          {with("Webhook-Signature", strings.Repeat("v1a,AAAA ", 8)+good.Get("Webhook-Signature")), body, now},
		"id of its own":     {signedWebhook(t, private, "e1", now, otherID), otherID, now},
		"no JSON":           {signedWebhook(t, private, "e1", now, "{"), "{", now},
	} {
		if event, err := VerifyWebhook(row.header, []byte(row.body), keys, row.now, 0); !errors.Is(err, ErrWebhook) || event != nil {
			t.Errorf("%s: got %+v, %v", name, event, err)
		}
	}
	for _, bad := range []string{"", "{}", `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"AQAB"}]}`, `{"keys":[{"kty":"OKP","crv":"X25519","kid":"k"}]}`} {
		if keys, err := ParseWebhookKeys([]byte(bad)); err == nil {
			t.Errorf("ParseWebhookKeys(%q): got %v, want an error", bad, keys)
		}
	}
}
