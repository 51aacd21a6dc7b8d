package bars_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

func pool(a *barstest.Authority) *x509.CertPool {
	made := x509.NewCertPool()
	for _, c := range a.Chain() {
		made.AddCert(c)
	}
	return made
}

const theirs = `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"conflict","details":{"coding":[{"code":"REC_THEIRS"}]}}]}`

// Every row of the outcome table, and other failures on the way (BAR-1.11 to BAR-1.25).
func TestOutcomes(t *testing.T) {
	w := prepare(t)
	other := barstest.NewAuthority(t, "OTHER")
	r := &receiver{}
	good := func(name string) tls.Certificate { return w.authority.Issue(host(name)) }
	serve := func(name string, certificate tls.Certificate, clients *barstest.Authority) {
		w.enter(name, host(name), listen(t, r, certificate, clients), "/FHIR/R4/")
	}
	serve("good", good("good"), w.authority)
	serve("name", good("another"), w.authority)
	serve("expired", w.authority.Issue(host("expired"), barstest.Valid(time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour))), w.authority)
	serve("chain", other.Issue(host("chain")), w.authority)
	serve("picky", good("picky"), other) // trusts another chain than the proxy's
	w.enter("refused", host("refused"), gateway.FreePort(t), "")
	w.enter("plain", host("plain"), accept(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		silence(conn)
	}), "")
	w.enter("reset", host("reset"), accept(t, reset), "")
	w.enter("mute", host("mute"), accept(t, silence), "")
	w.entries["http"] = "http://" + host("http")
	w.entries["literal"] = "https://127.0.0.1:8443"
	w.impatient()
	w.start()
	w.MustNotLog("not-a-token")

	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	packed := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusInternalServerError)
		zip := gzip.NewWriter(w)
		_, _ = io.WriteString(zip, theirs)
		_ = zip.Close()
	}
	with := func(header, value string) func(*http.Request) {
		return func(r *http.Request) {
			if value == "" {
				r.Header.Del(header)
			} else {
				r.Header.Set(header, value)
			}
		}
	}
	encoded := func(text string) func(*http.Request) {
		return with("NHSD-Target-Identifier", base64.StdEncoding.EncodeToString([]byte(text)))
	}
	for _, c := range []struct {
		name   string
		to     string // default: good
		late   bool   // whether to use the impatient site
		change func(*http.Request)
		answer http.HandlerFunc // of the receiver

		status int
		codes  string
		words  string // part of the text
		fault  string
		code   string // in the log; default: the detail code
	}{
		{name: "no bearer", change: with("Authorization", ""), status: 401, codes: "unknown / SEND_UNAUTHORIZED", words: "No Access token was provided.", fault: "sender"},
		{name: "empty bearer", change: with("Authorization", "Bearer "), status: 401, codes: "unknown / SEND_UNAUTHORIZED", words: "No Access token was provided.", fault: "sender"},
		{name: "bad token", change: with("Authorization", "Bearer not-a-token"), status: 401, codes: "security / SEND_UNAUTHORIZED", fault: "sender"},
		{name: "product not enabled", change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+w.token("other")) }, status: 403, codes: "forbidden / SEND_FORBIDDEN", fault: "sender"},
		{name: "no request id", change: with("X-Request-Id", ""), status: 400, codes: "invalid / BAD_REQUEST", fault: "sender"},
		{name: "no correlation id", change: with("X-Correlation-Id", ""), status: 400, codes: "invalid / BAD_REQUEST", fault: "sender"},
		{name: "a request id for one hop", change: with("Connection", "keep-alive, x-request-id"), status: 400, codes: "invalid / BAD_REQUEST", fault: "sender"},
		{name: "a correlation id for one hop", change: with("Connection", "X-Correlation-ID"), status: 400, codes: "invalid / BAD_REQUEST", fault: "sender"},
		{name: "a target for one hop", change: with("Connection", " nhsd-target-identifier ,close"), status: 400, codes: "400 / PROXY_BAD_REQUEST", fault: "sender"},
		{name: "no target", change: with("NHSD-Target-Identifier", ""), status: 400, codes: "400 / PROXY_BAD_REQUEST", fault: "sender"},
		{name: "target not base64", change: with("NHSD-Target-Identifier", "!"), status: 400, codes: "400 / PROXY_BAD_REQUEST", fault: "sender"},
		{name: "target not JSON (ours)", change: encoded("nonsense"), status: 400, codes: "400 / PROXY_BAD_REQUEST", fault: "sender"},
		{name: "target without value", change: encoded(`{"system":"a"}`), status: 400, codes: "structure / PROXY_BAD_REQUEST", fault: "sender"},
		{name: "target without system", change: encoded(`{"value":"a"}`), status: 400, codes: "structure / PROXY_BAD_REQUEST", fault: "sender"},
		{name: "unknown value", to: "nobody", status: 404, codes: "not-found / PROXY_NOT_FOUND", fault: "sender"},
		{name: "value in another case", to: "GOOD", status: 404, codes: "not-found / PROXY_NOT_FOUND", fault: "sender"},
		{name: "unknown system (ours)", change: encoded(`{"system":"a","value":"good"}`), status: 404, codes: "not-found / PROXY_NOT_FOUND", fault: "sender"},
		{name: "an entry with plain HTTP", to: "http", status: 404, codes: "not-found / PROXY_NOT_FOUND", fault: "proxy"},
		{name: "an entry with an address", to: "literal", status: 404, codes: "not-found / PROXY_NOT_FOUND", fault: "proxy"},

		{name: "receiver hangs", late: true, answer: hang, status: 408, codes: "timeout / REC_TIMEOUT", fault: "receiver"},
		{name: "receiver is mute", late: true, to: "mute", status: 408, codes: "timeout / REC_TIMEOUT", fault: "receiver"},
		{name: "receiver's 504", answer: say(504, "text/plain", "late"), status: 408, codes: "timeout / REC_TIMEOUT", fault: "receiver"},
		{name: "receiver refuses the connection", to: "refused", status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "receiver resets at once", to: "reset", status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "receiver resets after the request", answer: resetLater, status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "receiver's 503", answer: say(503, "application/fhir+json", theirs), status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "certificate of another name", to: "name", status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "expired certificate", to: "expired", status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "certificate of another chain", to: "chain", status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "plain HTTP", to: "plain", status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "receiver refuses the proxy's certificate", to: "picky", status: 503, codes: "transient / REC_SERVICE_UNAVAILABLE", fault: "receiver"},
		{name: "receiver's 403", answer: say(403, "application/fhir+json", theirs), status: 403, codes: "forbidden / REC_FORBIDDEN", words: "TLS-MA failure.", fault: "receiver"},
		{name: "bare 507", answer: say(507, "text/html", "full"), status: 500, codes: "no-store / REC_SERVER_ERROR", fault: "receiver"},
		{name: "bare 500", answer: say(500, "text/html", "<h1>oops</h1>"), status: 500, codes: "exception / REC_SERVER_ERROR", fault: "receiver"},
		{name: "empty 500", answer: say(500, "application/fhir+json", ""), status: 500, codes: "exception / REC_SERVER_ERROR", fault: "receiver"},
		{name: "packed 500 with an outcome", answer: packed, status: 500, fault: "receiver", code: "PASSED_ON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.to == "" {
				c.to = "good"
			}
			if c.answer == nil {
				c.answer = say(200, "application/fhir+json", "{}")
			}
			r.will(c.answer)
			request := w.call("GET", "/Slot?a=b", c.to, nil)
			id := request.Header.Get("X-Request-Id")
			if c.change != nil {
				c.change(request)
			}
			if c.late {
				request = w.at("IMPATIENT", request)
			}
			a := send(t, request)
			codes, words := a.outcome()
			if a.status != c.status || codes != c.codes || !strings.Contains(words, c.words) {
				t.Errorf("got status %d, codes %s, text %q, body\n%s", a.status, codes, words, a.body)
			}
			if c.codes != "" && a.header.Get("Content-Type") != "application/fhir+json" {
				t.Errorf("got content type %q", a.header.Get("Content-Type"))
			}
			if got := a.header.Get("X-Correlation-Id"); got != request.Header.Get("X-Correlation-Id") && c.codes != "" {
				t.Errorf("got correlation id %q, want the request's", got)
			}
			if c.code == "" {
				_, c.code, _ = strings.Cut(c.codes, " / ")
			}
			line := w.line("BaRS request failed", request.Header.Get("X-Request-Id"))
			if c.codes != "" {
				mustKeepForm(t, a.body, line)
			}
			if line["fault"] != c.fault || line["code"] != c.code || (c.status < 404 && id == "") {
				t.Errorf("got log line %v", line)
			}
		})
	}
	t.Run("passed on as it is", func(t *testing.T) {
		for _, status := range []int{200, 201, 400, 401, 404, 405, 406, 408, 409, 422, 500, 501} {
			for _, body := range []string{theirs, "<OperationOutcome xmlns=\"http://hl7.org/fhir\"><issue/></OperationOutcome>"} {
				r.will(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("X-Theirs", "kept")
					say(status, "application/fhir+xml", body)(w, nil)
				})
				if a := send(t, w.call("GET", "/Slot", "good", nil)); a.status != status || string(a.body) != body ||
					a.header.Get("X-Theirs") != "kept" || a.header.Get("Content-Type") != "application/fhir+xml" {
					t.Errorf("receiver's %d: got status %d, headers %v, body %s", status, a.status, a.header, a.body)
				}
				if _, _, count := r.got(); count != 1 {
					t.Errorf("receiver's %d: got %d requests, want one", status, count)
				}
			}
		}
	})
	t.Run("nothing is sent twice", func(t *testing.T) {
		r.will(resetLater)
		send(t, w.call("POST", "/$process-message", "good", strings.NewReader(`{"resourceType":"Bundle"}`)))
		if _, _, count := r.got(); count != 1 {
			t.Errorf("got %d requests at the receiver, want one", count)
		}
	})
	t.Run("an answer that breaks off is seen to", func(t *testing.T) {
		r.will(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000") // a short one that breaks off is replaced
			_, _ = io.WriteString(w, strings.Repeat("half", 32<<10))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		request := w.call("GET", "/Slot", "good", nil)
		if response, err := client.Do(request); err == nil {
			if _, err = io.ReadAll(response.Body); err == nil {
				t.Error("a truncated answer looks complete")
			}
			response.Body.Close()
		}
		if line := w.line("BaRS request failed", request.Header.Get("X-Request-Id")); line["code"] != "REC_BROKEN_OFF" || line["fault"] != "receiver" {
			t.Errorf("got log line %v", line)
		}
	})
	t.Run("a body that is too large", func(t *testing.T) {
		r.will(say(200, "application/fhir+json", "{}"))
		for name, body := range map[string]io.Reader{
			"said":   bytes.NewReader(make([]byte, 10<<20+1)),
			"unsaid": struct{ io.Reader }{bytes.NewReader(make([]byte, 10<<20+1))},
		} {
			request := w.call("POST", "/$process-message", "good", body)
			request.Header.Set("Expect", "100-continue") // the refusal comes before the body
			a := send(t, request)
			if codes, _ := a.outcome(); a.status != 413 || codes != "too-long / PROXY_BAD_REQUEST" {
				t.Errorf("%s: got status %d, body %s", name, a.status, a.body)
			}
		}
	})
	t.Run("a sender that is slow with its body", func(t *testing.T) {
		reader, writer := io.Pipe()
		defer writer.Close()
		request := w.at("IMPATIENT", w.call("POST", "/$process-message", "good", reader))
		a := send(t, request)
		if codes, _ := a.outcome(); a.status != 408 || codes != "timeout / PROXY_BAD_REQUEST" {
			t.Errorf("got status %d, body %s", a.status, a.body)
		}
		if line := w.line("BaRS request failed", request.Header.Get("X-Request-Id")); line["fault"] != "sender" {
			t.Errorf("got log line %v", line)
		}
	})
	t.Run("metrics", func(t *testing.T) {
		a := send(t, must(http.NewRequest("GET", "http://127.0.0.1:"+w.Port("ADMIN")+"/metrics", nil)))
		for _, want := range []string{
			`countersign_bars_answer_seconds_count{endpoint="/Slot",fault="receiver",outcome="REC_TIMEOUT"}`,
			`countersign_bars_answer_seconds_count{endpoint="/Slot",fault="none",outcome="ok"}`,
			fmt.Sprintf(`countersign_bars_catalogue_targets{catalogue=%q}`, w.file("catalogue.json")),
			`countersign_certificate_expiry_timestamp_seconds{kind="bars_proxy",subject="CN=proxy.int.test.nhs.uk"}`,
		} {
			if !contains(a.body, want) {
				t.Errorf("want %s in /metrics", want)
			}
		}
	})
}

func must(r *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return r
}
