package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestOnboarding goes all the way on INT, as a newcomer would: each command says what comes next, and what was said
// once is kept.
func TestOnboarding(t *testing.T) {
	dir := t.TempDir()
	const fqdn = "BaRS-INT-X26.MySupplier.thirdparty.nhs.uk"
	run := func(args ...string) string {
		t.Helper()
		said := execute(t, onboardCommand(), append(args, "--dir", dir)...)
		if said.err != nil {
			t.Fatalf("%v: %v", args, said.err)
		}
		return said.stdout
	}
	file := func(name string) string { return filepath.Join(dir, name) }

	mustSay(t, run("portal", "--environment", "int", "--name", "MySupplier"), "callback URL", "(Integration Testing Environment)", "(Sandbox Environment)", "owned by the team", "API key", "--app-id")
	mustSay(t, run("status"), "portal", "open", "Next: make the application")
	mustSay(t, run("key", "--app-id", "4711", "--app-name", "my-app"), "MySupplier-INT-1.pem", "MySupplier-INT-1.jwks.json", "Next: caddy countersign onboard register")
	mustSay(t, run("key", "--app-name", "my-app"), "already exists", "Next: caddy countersign onboard register") // as portal's next step says
	if said := execute(t, onboardCommand(), "done", "foo", "--dir", dir); said.err == nil || !strings.Contains(said.err.Error(), "register, certificate, dns and catalogue") {
		t.Errorf("done foo: %v", said.err)
	}
	mustSay(t, run("register"), "To:      api.management@nhs.net", "Environment:       INT", "4711", "my-app", "MySupplier-INT-1", "(Integration Testing Environment)",
		"Attach:  "+file("MySupplier-INT-1.pub.pem"), "done register")
	mustSay(t, run("done", "register"), "Next: caddy countersign onboard csr")
	mustSay(t, run("csr", "--fqdn", fqdn), fqdn+".key", fqdn+".csr", "Next: caddy countersign onboard certificate")
	mustSay(t, run("certificate", "--organisation", "X26"), "To:      itoc.supportdesk@nhs.net", "certificate only", "BaRS", "Party key:               N/A", "Attach:  "+file(fqdn+".csr"))
	run("done", "certificate")
	mustSay(t, run("dns", "--ip", "203.0.113.7"), "To:      dnsteam@nhs.net", fqdn, "203.0.113.7", "Type:            A")
	run("done", "dns")
	mustSay(t, run("catalogue", "--url", "https://"+fqdn+"/FHIR/R4", "--target", "2000099999"), "To:      bookingandreferralstandard@nhs.net", "https://"+fqdn+"/FHIR/R4", "2000099999")
	mustSay(t, run("done", "catalogue"), "Next: caddy countersign doctor")
	if status := run("status"); strings.Contains(status, "open") {
		t.Errorf("a step is open still:\n%s", status)
	}

	// Read back with OpenSSL.
	for _, private := range []string{"MySupplier-INT-1.pem", fqdn + ".key"} {
		info, err := os.Stat(file(private))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", private, info.Mode(), err)
		}
		mustSay(t, openssl(t, "rsa", "-in", file(private), "-check", "-noout"), "RSA key ok")
	}
	mustSay(t, openssl(t, "rsa", "-in", file("MySupplier-INT-1.pem"), "-text", "-noout"), "Private-Key: (4096 bit")
	if public := openssl(t, "rsa", "-in", file("MySupplier-INT-1.pem"), "-pubout"); !strings.Contains(public, strings.TrimSpace(read(t, file("MySupplier-INT-1.pub.pem")))) {
		t.Error("the public key is not the private key's")
	}
	request := openssl(t, "req", "-in", file(fqdn+".csr"), "-noout", "-text", "-verify", "-nameopt", "RFC2253")
	mustSay(t, request, "Subject: CN="+fqdn+"\n", "DNS:"+fqdn+"\n", "Public-Key: (2048 bit)", "sha256WithRSAEncryption", "verify OK")
	for _, no := range []string{"email", "E=", "O=", "C=", "L=", "ST=", "OU="} {
		if strings.Contains(strings.ReplaceAll(request, "BaRS-INT", ""), no) {
			t.Errorf("the request says %s:\n%s", no, request)
		}
	}
	if strings.Count(request, "DNS:") != 1 {
		t.Errorf("more than one name:\n%s", request)
	}
	if fromKey, fromRequest := openssl(t, "pkey", "-in", file(fqdn+".key"), "-pubout"), openssl(t, "req", "-in", file(fqdn+".csr"), "-noout", "-pubkey"); fromKey != fromRequest {
		t.Error("the request is another key's")
	}
}

// TestOnboardingLive holds what PROD asks for differently.
func TestOnboardingLive(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) outcome {
		return execute(t, onboardCommand(), append(args, "--dir", dir)...)
	}
	run("key", "--environment", "prod", "--name", "RX7", "--app-id", "4712", "--app-name", "live-app")
	if said := run("register"); said.err == nil || !strings.Contains(said.err.Error(), "--int-app-name") {
		t.Errorf("a registration for Live without the INT application: %v", said.err)
	}
	said := run("register", "--int-app-name", "my-app")
	mustSay(t, said.stdout, "Environment:       PROD (Live)", "INT application:   my-app", "This is for Live.", "one provider alone", "leaves the address blank", "Ask bookingandreferralstandard@nhs.net")
	var letter written
	run("register", "--json").json(t, &letter)
	if letter.To != "" {
		t.Errorf("an address was guessed: %s", letter.To)
	}
	run("csr", "--fqdn", "BaRS-PROD-RX7-UTC.NWAS.nhs.uk")
	mustSay(t, run("certificate", "--organisation", "RX7").stdout, "To:      dir@nhs.net", "technical conformance", "liveservices.gate@nhs.net")
}

// TestOnboardingRefused holds wrong ways, each with what to do instead.
func TestOnboardingRefused(t *testing.T) {
	for _, c := range []struct {
		says string
		args []string
	}{
		{"--environment int", []string{"portal"}},
		{"--environment int", []string{"portal", "--environment", "live"}},
		{"give --name", []string{"key", "--environment", "int"}},
		{"is for PROD, but this environment is int", []string{"key", "--environment", "int", "--kid", "A-PROD-1"}},
		{"give --fqdn", []string{"csr", "--environment", "int"}},
		{"a name of the prod environment", []string{"csr", "--environment", "int", "--fqdn", "BaRS-PROD-RX7.NWAS.nhs.uk"}},
		{"use at least 2048", []string{"csr", "--environment", "int", "--fqdn", "a.nhs.uk", "--bits", "1024"}},
		{"does not begin with BaRS", []string{"csr", "--environment", "int", "--fqdn", "a.nhs.uk", "--strict"}},
		{"is not a host name", []string{"csr", "--environment", "int", "--fqdn", "../a"}},
		{"longer than the 64 characters", []string{"csr", "--environment", "int", "--fqdn", "bars-int-x26-" + strings.Repeat("a", 50) + ".nhs.uk"}},
		{"--app-id, --app-name", []string{"register", "--environment", "int", "--name", "A"}},
		{"make it first", []string{"register", "--environment", "int", "--name", "A", "--app-id", "1", "--app-name", "a"}},
		{"the step key has no letter", []string{"done", "key", "--environment", "int"}},
		{"does not begin with https://a.nhs.uk", []string{"catalogue", "--environment", "int", "--name", "A", "--fqdn", "a.nhs.uk", "--url", "https://b.nhs.uk", "--target", "1"}},
		{"line break", []string{"portal", "--environment", "int", "--name", "a\nTo: b"}},
	} {
		said := execute(t, onboardCommand(), append(c.args, "--dir", t.TempDir())...)
		if said.err == nil || !strings.Contains(said.err.Error(), c.says) {
			t.Errorf("%v: %v; want %q", c.args, said.err, c.says)
		}
	}
	dir := t.TempDir()
	execute(t, onboardCommand(), "portal", "--environment", "int", "--dir", dir)
	if said := execute(t, onboardCommand(), "portal", "--environment", "prod", "--dir", dir); said.err == nil || !strings.Contains(said.err.Error(), "use another --dir") {
		t.Errorf("two environments in one directory: %v", said.err)
	}
	first := execute(t, onboardCommand(), "csr", "--fqdn", "bars-int-x26.a.nhs.uk", "--dir", dir)
	if again := execute(t, onboardCommand(), "csr", "--dir", dir); first.err != nil || again.err == nil || !strings.Contains(again.err.Error(), "already exists") {
		t.Errorf("a key was overwritten: %v, %v", first.err, again.err)
	}
}
