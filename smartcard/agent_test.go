package smartcard_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

// Lines of a correct answer to newJob(1), whose only id is idA.
const (
	idA      = `"id <0> é"`
	certLine = `{"certificate":"Y2VydA=="}` + "\n"
	itemLine = `{"id":` + idA + `,"signature":"c2ln"}` + "\n"
	doneLine = `{"done":true,"signed":1,"failed":0}` + "\n"
)

// answer returns a handler that sends text as an agent's answer.
func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, text)
	}
}

// raw returns a handler that takes over the connection and sends bytes that are no HTTP answer of Go's.
func raw(t *testing.T, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// drip sends the text, then a piece every few milliseconds for as long as the client is there.
func drip(text, piece string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(text)(w, r)
		out := http.NewResponseController(w)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for out.Flush() == nil {
			select {
			case <-tick.C:
				_, _ = io.WriteString(w, piece)
			case <-r.Context().Done():
				return
			}
		}
	}
}

// status returns a handler that answers with a status and a body.
func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestHostileAgents(t *testing.T) {
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	const (
		garbage     = smartcard.CodeGarbage
		mismatch    = smartcard.CodeMismatch
		refused     = smartcard.CodeRefused
		unreachable = smartcard.CodeUnreachable
		timeout     = smartcard.CodeTimeout
	)
	tests := []struct {
		name  string
		agent http.HandlerFunc
		code  string // empty: a result
	}{
		{"honest", answer(certLine + itemLine + doneLine), ""},
		{"honest, spaced, CRLF", answer(strings.ReplaceAll(certLine+itemLine+` { "done" : true , "failed":0, "signed":1 } `+"\n", "\n", "\r\n")), ""},

		{"empty", answer(""), garbage},
		{"no done", answer(certLine + itemLine), garbage},
		{"done without its line end", answer(certLine + itemLine + strings.TrimSpace(doneLine)), garbage},
		{"bytes after done", answer(certLine + itemLine + doneLine + "\n"), garbage},
		{"an item after done", answer(certLine + itemLine + doneLine + itemLine), garbage},
		{"an empty line", answer(certLine + "\n" + itemLine + doneLine), garbage},
		{"not JSON", answer(certLine + "<html>\n"), garbage},
		{"an array", answer("[]\n"), garbage},
		{"null", answer("null\n"), garbage},
		{"an empty object", answer("{}\n"), garbage},
		{"two objects on a line", answer(strings.TrimSpace(certLine) + itemLine + doneLine), garbage},
		{"an unknown member", answer(`{"certificate":"Y2VydA==","x":1}` + "\n"), garbage},
		{"a folded twin", answer(`{"certificate":"Y2VydA==","Certificate":"Y2VydA=="}` + "\n"), garbage},
		{"a duplicate member", answer(`{"certificate":"Y2VydA==","certificate":"Y2VydA=="}` + "\n"), garbage},
		{"deep nesting", answer(`{"certificate":` + strings.Repeat("[", 30000) + "\n"), garbage},
		{"certificate and item in one", answer(`{"certificate":"Y2VydA==","id":` + idA + `,"signature":"c2ln"}` + "\n"), garbage},
		{"signature and error in one", answer(certLine + `{"id":` + idA + `,"signature":"c2ln","error":{"code":"x","message":""}}` + "\n"), garbage},
		{"an id alone", answer(certLine + `{"id":` + idA + `}` + "\n"), garbage},
		{"a signature alone", answer(certLine + `{"signature":"c2ln"}` + "\n"), garbage},
		{"an error alone", answer(`{"error":{"code":"no_card","message":""}}` + "\n"), garbage},
		{"an error without code", answer(`{"id":` + idA + `,"error":{"message":"x"}}` + "\n"), garbage},
		{"a null signature", answer(certLine + `{"id":` + idA + `,"signature":null}` + "\n"), garbage},
		{"an empty signature", answer(certLine + `{"id":` + idA + `,"signature":""}` + "\n"), garbage},
		{"a long signature", answer(certLine + `{"id":` + idA + `,"signature":"` + b64(smartcard.MaxSignature+1) + `"}` + "\n"), garbage},
		{"signature in hex", answer(certLine + `{"id":` + idA + `,"signature":"0g"}` + "\n"), garbage},
		{"an empty certificate", answer(`{"certificate":""}` + "\n"), garbage},
		{"a long certificate", answer(`{"certificate":"` + b64(smartcard.MaxCertificate+1) + `"}` + "\n"), garbage},
		{"NaN counts", answer(certLine + itemLine + `{"done":true,"signed":NaN,"failed":0}` + "\n"), garbage},
		{"float counts", answer(certLine + itemLine + `{"done":true,"signed":1.0,"failed":0}` + "\n"), garbage},
		{"huge counts", answer(certLine + itemLine + `{"done":true,"signed":1e99,"failed":0}` + "\n"), garbage},
		{"no counts", answer(certLine + itemLine + `{"done":true}` + "\n"), garbage},
		{"not done", answer(certLine + itemLine + `{"done":false,"signed":1,"failed":0}` + "\n"), garbage},
		{"a line too long", answer(certLine + strings.Repeat(" ", smartcard.MaxLine) + itemLine + doneLine), garbage},
		{"an endless line", drip(certLine, strings.Repeat(" ", 8192)), garbage},

		{"nothing but done", answer(doneLine), mismatch},
		{"a missing item", answer(certLine + doneLine), mismatch},
		{"a missing item, honest counts", answer(certLine + `{"done":true,"signed":0,"failed":1}` + "\n"), mismatch},
		{"too many by count", answer(certLine + itemLine + `{"done":true,"signed":2,"failed":0}` + "\n"), mismatch},
		{"failed by count", answer(certLine + itemLine + `{"done":true,"signed":1,"failed":1}` + "\n"), mismatch},
		{"negative counts", answer(certLine + itemLine + `{"done":true,"signed":1,"failed":-1}` + "\n"), mismatch},
		{"two certificates", answer(certLine + certLine + itemLine + doneLine), mismatch},
		{"the item first", answer(itemLine + certLine + doneLine), mismatch},
		{"an unknown item", answer(certLine + `{"id":"other","signature":"c2ln"}` + "\n"), mismatch},
		{"an unknown item fails", answer(certLine + `{"id":"other","error":{"code":"no_card","message":""}}` + "\n"), mismatch},
		{"an item twice", answer(certLine + itemLine + itemLine + doneLine), mismatch},
		{"a signed item fails", answer(certLine + itemLine + `{"id":` + idA + `,"error":{"code":"no_card","message":""}}` + "\n"), mismatch},

		{"gzip", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/x-ndjson")
			zip := gzip.NewWriter(w)
			_, _ = io.WriteString(zip, certLine+itemLine+doneLine+strings.Repeat(" ", 1<<20))
			_ = zip.Close()
		}, garbage},
		{"a content encoding by name alone", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			answer(certLine+itemLine+doneLine)(w, r)
		}, garbage},
		{"another media type", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, certLine+itemLine+doneLine)
		}, garbage},
		{"no media type", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, certLine+itemLine+doneLine)
		}, garbage},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, garbage},
		{"202", status(http.StatusAccepted, ""), garbage},
		{"400", status(http.StatusBadRequest, `{"code":"bad_request","message":"no"}`), refused},
		{"403 no card", status(http.StatusForbidden, `{"code":"no_card","message":"no"}`), smartcard.CodeNoCard},
		{"404, a page", status(http.StatusNotFound, "<html>"), refused},
		{"404, an endless page", drip404, refused},
		{"502", status(http.StatusBadGateway, "<html>"), unreachable},
		{"500 wrong PIN", status(http.StatusInternalServerError, `{"code":"wrong_pin","message":"no"}`), smartcard.CodeWrongPIN},

		{"not HTTP", raw(t, "SSH-2.0-OpenSSH\r\n\r\n"), unreachable},
		{"closed", raw(t, ""), unreachable},
		{"cut short", raw(t, "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 10000\r\n\r\n"+certLine+itemLine+doneLine), unreachable},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, timeout},
		{"silent after the certificate", drip(certLine, ""), timeout},
		{"silent after done", drip(certLine+itemLine+doneLine, ""), timeout},
		{"a slow drip", drip(certLine, " "), timeout},
	}
	ca := smartcardtest.NewCA(t)
	leaf := ca.Leaf(t, gateway)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transport := smartcardtest.Transport(t, ca, leaf)
			transport.ForceAttemptHTTP2 = false // raw needs HTTP/1.1
			idle := time.Minute                 // a slow machine must not look like a silent agent
			if test.code == timeout {
				idle = 300 * time.Millisecond
			}
			agent, err := smartcard.NewAgent(smartcard.AgentOptions{
				URL:       smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, unread(test.agent)),
				Transport: transport,
				Timeout:   time.Minute,
				Idle:      idle,
			})
			if err != nil {
				t.Fatal(err)
			}
			result, err := agent.Sign(t.Context(), newJob(1), nil)
			if test.code == "" {
				if err != nil || string(result.Certificate) != "cert" || len(result.Signatures) != 1 || string(result.Signatures[0]) != "sig" {
					t.Fatalf("got result %+v, error %v", result, err)
				}
				return
			}
			e := wantCode(t, err, test.code)
			if result != nil {
				t.Error("got a result and an error")
			}
			if e.Retryable() == (e.Code == mismatch) {
				t.Errorf("got code %s, retryable %v", e.Code, e.Retryable())
			}
		})
	}
}

// unread reads the request before it is answered, and panics if a redirect was followed.
func unread(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/elsewhere" {
			panic("a redirect was followed")
		}
		next(w, r)
	}
}

func drip404(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusNotFound)
	drip("", strings.Repeat("x", 8192))(w, r)
}

// The whole job is bounded even if lines keep coming, and so is the total size.
func TestBoundsOfAJob(t *testing.T) {
	ca := smartcardtest.NewCA(t)
	job := newJob(250)
	var lines bytes.Buffer
	lines.WriteString(certLine)
	for _, p := range job.Payloads {
		lines.Write(smartcard.Event{ID: p.ID, Signature: []byte("s")}.Line())
	}
	sc := bufio.NewScanner(&lines)
	slowly := func(w http.ResponseWriter, r *http.Request) {
		out := http.NewResponseController(w)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for sc.Scan() && r.Context().Err() == nil {
			answer(sc.Text()+"\n")(w, r)
			_ = out.Flush()
			<-tick.C
		}
	}
	for name, test := range map[string]struct {
		agent   http.HandlerFunc
		code    string
		timeout time.Duration
	}{
		"slow but never idle": {slowly, smartcard.CodeTimeout, time.Second},
		"padded lines": {func(w http.ResponseWriter, r *http.Request) {
			pad := strings.Repeat(" ", smartcard.MaxLine-1024)
			answer(certLine)(w, r)
			for _, p := range job.Payloads {
				_, _ = io.WriteString(w, pad)
				_, _ = w.Write(smartcard.Event{ID: p.ID, Signature: []byte("s")}.Line())
			}
			_, _ = w.Write(smartcard.Event{Done: &smartcard.Done{Signed: 250}}.Line())
		}, smartcard.CodeGarbage, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			agent, err := smartcard.NewAgent(smartcard.AgentOptions{
				URL:       smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, unread(test.agent)),
				Transport: smartcardtest.Transport(t, ca, ca.Leaf(t, gateway)),
				Timeout:   test.timeout,
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = agent.Sign(t.Context(), job, nil)
			wantCode(t, err, test.code)
		})
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := listener.Addr().String()
	_ = listener.Close()
	agent := newAgent(t, "https://"+free, smartcardtest.Transport(t, smartcardtest.NewCA(t)))
	_, err = agent.Sign(t.Context(), newJob(1), nil)
	wantCode(t, err, smartcard.CodeUnreachable)
	_, err = agent.Health(t.Context())
	wantCode(t, err, smartcard.CodeUnreachable)
}

func TestHostileHealth(t *testing.T) {
	ca := smartcardtest.NewCA(t)
	long := `{"ready":true,"card":"present","subject":"` + strings.Repeat("x", 5000) + `"}`
	for name, text := range map[string]string{"not JSON": "x", "unknown member": `{"ready":true,"x":1}`, "too long": long} {
		t.Run(name, func(t *testing.T) {
			url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, text)
			}))
			_, err := newAgent(t, url, smartcardtest.Transport(t, ca, ca.Leaf(t, gateway))).Health(t.Context())
			wantCode(t, err, smartcard.CodeGarbage)
		})
	}
}

func TestAgentOptions(t *testing.T) {
	transport := &http.Transport{}
	for _, url := range []string{"", "localhost:8443", "http://localhost:8443", "https://", "https://u:p@host", "https://host?x=1", "https://host/#x"} {
		if _, err := smartcard.NewAgent(smartcard.AgentOptions{URL: url, Transport: transport}); err == nil {
			t.Errorf("address %q: got no error", url)
		}
	}
	if _, err := smartcard.NewAgent(smartcard.AgentOptions{URL: "https://host"}); err == nil {
		t.Error("no transport: got no error")
	}
	if _, err := smartcard.NewAgent(smartcard.AgentOptions{URL: "https://host", Transport: transport, Idle: -1}); err == nil {
		t.Error("a negative timeout: got no error")
	}
}

// An error may be logged: it contains nothing the agent said.
func TestErrorsKeepTheAgentsWordsApart(t *testing.T) {
	agent := connect(t, signer(func(_ context.Context, job smartcard.Job, out *smartcard.Stream) error {
		return out.Fail(job.Payloads[0].ID, smartcard.Failure{Code: "secret-code", Message: "secret-words " + strings.Repeat("x", 1000)})
	}))
	_, err := agent.Sign(t.Context(), newJob(1), nil)
	e := wantCode(t, err, smartcard.CodeRefused)
	if strings.Contains(err.Error(), "secret") || len(e.Message) != 200 || e.Wire != "secret-code" {
		t.Errorf("got error %v: %#v", err, e)
	}
}

func TestInvalidJobIsNotSent(t *testing.T) {
	agent := connect(t, signer(func(context.Context, smartcard.Job, *smartcard.Stream) error {
		t.Error("the signer was called, want the job refused")
		return nil
	}))
	job := newJob(2)
	job.Payloads[1].ID = job.Payloads[0].ID
	_, err := agent.Sign(t.Context(), job, nil)
	if e := wantCode(t, err, smartcard.CodeRefused); e.Retryable() || errors.Unwrap(e) == nil {
		t.Errorf("got %#v", e)
	}
}
