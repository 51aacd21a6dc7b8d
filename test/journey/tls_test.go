package journey_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// leaf is a certificate with its key, in files.
type leaf struct{ cert, key string }

// Mutual TLS from outside: only the gateway's own certificate gets an answer from the agent (AGT-A.4).
func TestAgentAnswersTheGatewayAlone(t *testing.T) {
	w := newWorld(t, options{sites: `
https://other.countersign.internal:{$PORT_OTHER} {
	tls internal
	respond "another site of the same installation"
}
`})
	// A signature first, so that every certificate has been made.
	accepted := w.request(t, w.system("main"), "RS256", "", gateway.Payloads("RS256", 1)...)
	if view := gateway.Visit(t, accepted.RedirectURI).SignToEnd(); view.State != "signed" {
		t.Fatalf("%+v, %+v", view, view.Reason)
	}
	own := func(name string) leaf {
		dir := w.Data("certificates/local/" + name)
		l := leaf{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
		if !gateway.Eventually(patience, func() bool { _, err := os.Stat(l.key); return err == nil }) {
			t.Fatalf("Caddy made no certificate for %s", name)
		}
		return l
	}
	root := w.Data("pki/authorities/local/root.crt")
	health := "https://localhost:" + w.Port("MAIN") + "/health"
	ask := func(l leaf, more ...string) (status string, err error) {
		args := append([]string{"-sS", "--noproxy", "*", "--max-time", "20", "--cacert", root, "-o", "/dev/null", "-w", "%{http_code}"}, more...)
		if l.cert != "" {
			args = append(args, "--cert", l.cert, "--key", l.key)
		}
		out, err := gateway.Run(nil, "curl", append(args, health)...)
		return string(out), err
	}

	t.Run("the gateway's certificate", func(t *testing.T) {
		if status, err := ask(own("gateway.countersign.internal")); status != "200" {
			t.Errorf("status %s, %v", status, err)
		}
	})
	t.Run("no certificate", func(t *testing.T) {
		if status, err := ask(leaf{}); err == nil || status != "000" {
			t.Errorf("status %s, want no answer", status)
		}
	})
	t.Run("another leaf of the same CA", func(t *testing.T) {
		for _, name := range []string{"other.countersign.internal", "localhost"} {
			if status, _ := ask(own(name)); status != "000" && status != "401" && status != "403" {
				t.Errorf("%s: status %s", name, status)
			}
		}
	})
	t.Run("another CA", func(t *testing.T) {
		if status, err := ask(foreignLeaf(t, "gateway.countersign.internal")); err == nil || status != "000" {
			t.Errorf("status %s, want no answer", status)
		}
	})
	t.Run("TLS 1.1", func(t *testing.T) {
		if status, err := ask(own("gateway.countersign.internal"), "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"); err == nil {
			t.Errorf("status %s, want no answer", status)
		}
	})
}

// The other way round: the gateway speaks to no agent whose certificate is not of the configured pool.
func TestGatewaySpeaksToItsAgentAlone(t *testing.T) {
	impostor := foreignLeaf(t, "localhost")
	tls := strings.Replace(gateway.DemandMutualTLS, "tls internal", fmt.Sprintf("tls %s %s", impostor.cert, impostor.key), 1)
	w := newWorld(t, options{services: []service{{name: "main", tls: tls}}})
	s := w.system("main")
	accepted := w.request(t, s, "RS256", "", gateway.Payloads("RS256", 1)...)
	view := gateway.Visit(t, accepted.RedirectURI).SignToEnd()
	if view.State != "opened" || view.ReasonCode() != "agent_unreachable" || !view.Reason.Retry {
		t.Errorf("%+v, %+v", view, view.Reason)
	}
	nothingReleased(t, s, accepted.Token, "opened")
}

// foreignLeaf is a certificate of a CA that openssl makes for the purpose; it is right in everything else.
func foreignLeaf(t *testing.T, name string) leaf {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) {
		t.Helper()
		if _, err := gateway.Run(nil, "openssl", args...); err != nil {
			t.Fatal(err)
		}
	}
	run("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=Caddy Local Authority", "-keyout", file("ca.key"), "-out", file("ca.crt"))
	extensions := "subjectAltName=DNS:" + name + "\nextendedKeyUsage=clientAuth,serverAuth\nkeyUsage=digitalSignature\n"
	if err := os.WriteFile(file("ext"), []byte(extensions), 0o600); err != nil {
		t.Fatal(err)
	}
	run("req", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN="+name, "-keyout", file("leaf.key"), "-out", file("leaf.csr"))
	run("x509", "-req", "-in", file("leaf.csr"), "-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-CAcreateserial", "-extfile", file("ext"), "-out", file("leaf.crt"))
	out, err := gateway.Run(nil, "openssl", "verify", "-CAfile", file("ca.crt"), file("leaf.crt"))
	if err != nil || !strings.Contains(string(out), "OK") {
		t.Fatalf("the test's own certificate is not right: %s %v", out, err)
	}
	return leaf{file("leaf.crt"), file("leaf.key")}
}
