package smartcard_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

func TestRequests(t *testing.T) {
	ca := smartcardtest.NewCA(t)
	url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, newServer(t, smartcard.ServerOptions{
		Signer: signer(honest), Users: []string{"5550*", "1*9*1"}, MaxBody: 4096,
	}))
	client := http.Client{Transport: smartcardtest.Transport(t, ca, ca.Leaf(t, gateway))}
	const one = `{"job":"0b5c5fd8-8a5f-4b46-8a5b-3d8de2d0a1f7","sub":"555086689106","client":"Acme","algorithm":"RS256","payloads":[{"id":"a","payload":"YQ=="}]}`
	swap := func(old, other string) string {
		if !strings.Contains(one, old) {
			t.Fatalf("%q is not in the job", old)
		}
		return strings.Replace(one, old, other, 1)
	}
	items := strings.Repeat(`{"id":"a","payload":"YQ=="},`, 1)
	tests := []struct {
		name, method, path, media, body string
		status                          int
		code                            string
	}{
		{"good", "POST", "/sign", "application/json", one, 200, ""},
		{"good, charset", "POST", "/sign", "application/json; charset=UTF-8", one, 200, ""},
		{"user by the second pattern", "POST", "/sign", "application/json", swap("555086689106", "1x9y1"), 200, ""},
		{"user outside", "POST", "/sign", "application/json", swap("555086689106", "555186689106"), 403, "no_card"},
		{"GET", "GET", "/sign", "", "", 405, "method"},
		{"POST health", "POST", "/health", "", "", 405, "method"},
		{"elsewhere", "POST", "/sign/", "application/json", one, 404, "not_found"},
		{"media type", "POST", "/sign", "text/plain", one, 415, "media_type"},
		{"no media type", "POST", "/sign", "", one, 415, "media_type"},
		{"charset", "POST", "/sign", "application/json; charset=latin1", one, 415, "media_type"},
		{"too large", "POST", "/sign", "application/json", one + strings.Repeat(" ", 4096), 413, "too_large"},
		{"empty", "POST", "/sign", "application/json", "", 400, "bad_request"},
		{"not JSON", "POST", "/sign", "application/json", one[1:], 400, "bad_request"},
		{"two values", "POST", "/sign", "application/json", one + one, 400, "bad_request"},
		{"unknown member", "POST", "/sign", "application/json", swap(`"sub"`, `"x":1,"sub"`), 400, "bad_request"},
		{"case-folded twin", "POST", "/sign", "application/json", swap(`"sub"`, `"SUB":"5550","sub"`), 400, "bad_request"},
		{"duplicate member", "POST", "/sign", "application/json", swap(`"sub"`, `"sub":"5550","sub"`), 400, "bad_request"},
		{"invalid UTF-8", "POST", "/sign", "application/json", swap("Acme", "\xff"), 400, "bad_request"},
		{"job", "POST", "/sign", "application/json", swap("0b5c5fd8", "0b5c5fd"), 400, "bad_request"},
		{"no sub", "POST", "/sign", "application/json", swap("555086689106", ""), 400, "bad_request"},
		{"sub with underscore", "POST", "/sign", "application/json", swap("555086689106", "555086689106_X"), 400, "bad_request"},
		{"sub with line end", "POST", "/sign", "application/json", swap("555086689106", `555086689106\n`), 400, "bad_request"},
		{"client with control", "POST", "/sign", "application/json", swap("Acme", `\u202e`), 400, "bad_request"},
		{"algorithm", "POST", "/sign", "application/json", swap("RS256", "RS512"), 400, "bad_request"},
		{"no payloads", "POST", "/sign", "application/json", swap(`{"id":"a","payload":"YQ=="}`, ""), 400, "bad_request"},
		{"null payloads", "POST", "/sign", "application/json", swap(`[{"id":"a","payload":"YQ=="}]`, "null"), 400, "bad_request"},
		{"duplicate id", "POST", "/sign", "application/json", swap(`[`, `[`+items), 400, "bad_request"},
		{"empty id", "POST", "/sign", "application/json", swap(`"a"`, `""`), 400, "bad_request"},
		{"empty payload", "POST", "/sign", "application/json", swap("YQ==", ""), 400, "bad_request"},
		{"base64url", "POST", "/sign", "application/json", swap("YQ==", "-_-_"), 400, "bad_request"},
		{"health", "GET", "/health", "", "", 200, ""},
		{"described", "GET", "/openapi.json", "", "", 200, ""},
		{"described otherwise", "PUT", "/openapi.json", "", "", 405, "method"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), test.method, url+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if test.media != "" {
				req.Header.Set("Content-Type", test.media)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			mustBeDescribed(t, req, resp, body)
			if resp.StatusCode != test.status || test.code != "" && !bytes.Contains(body, []byte(`{"code":"`+test.code+`","message":"`)) {
				t.Errorf("got %d %s, want %d %s", resp.StatusCode, body, test.status, test.code)
			}
		})
	}
}

func TestLargestJob(t *testing.T) {
	job := newJob(250)
	for i := range job.Payloads {
		job.Payloads[i].Payload = bytes.Repeat([]byte("x"), 6000)
	}
	if _, err := connect(t, signer(honestShort)).Sign(t.Context(), job, nil); err != nil {
		t.Error(err)
	}
	job.Payloads[0].Payload = make([]byte, 1<<20)
	_, err := connect(t, signer(honestShort)).Sign(t.Context(), job, nil)
	wantCode(t, err, smartcard.CodeRefused)
}

func honestShort(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
	if err := out.Certificate(make([]byte, smartcard.MaxCertificate)); err != nil {
		return err
	}
	for _, p := range job.Payloads {
		if err := out.Signature(p.ID, make([]byte, smartcard.MaxSignature)); err != nil {
			return err
		}
	}
	return nil
}

func TestServerOptions(t *testing.T) {
	good := smartcard.ServerOptions{Signer: signer(honest), AllowClients: []string{gateway}}
	tests := map[string]func(*smartcard.ServerOptions){
		"no signer":         func(o *smartcard.ServerOptions) { o.Signer = nil },
		"no clients":        func(o *smartcard.ServerOptions) { o.AllowClients = nil },
		"an empty client":   func(o *smartcard.ServerOptions) { o.AllowClients = []string{""} },
		"a wildcard":        func(o *smartcard.ServerOptions) { o.AllowClients = []string{"*.example.internal"} },
		"a star":            func(o *smartcard.ServerOptions) { o.AllowClients = []string{"*"} },
		"a host with port":  func(o *smartcard.ServerOptions) { o.AllowClients = []string{"gateway:8443"} },
		"an empty user":     func(o *smartcard.ServerOptions) { o.Users = []string{""} },
		"a glob class":      func(o *smartcard.ServerOptions) { o.Users = []string{"[0-9]*"} },
		"a body too large":  func(o *smartcard.ServerOptions) { o.MaxBody = smartcard.MaxBody + 1 },
		"a negative timing": func(o *smartcard.ServerOptions) { o.Timeout = -1 },
	}
	if _, err := smartcard.NewServer(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			if _, err := smartcard.NewServer(o); err == nil {
				t.Error("got no error")
			}
		})
	}
}
