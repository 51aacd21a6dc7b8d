package bars_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What can break between the proxy and a receiver while a message is on its way, and who is to blame (BAR-5.24).
func TestBlame(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	certificate := w.authority.Issue(host("good"))
	w.enter("good", host("good"), listen(t, r, certificate, w.authority), "")
	w.enter("mute", host("mute"), accept(t, silence), "")
	w.enter("half", host("half"), accept(t, func(conn net.Conn) { // reads the ClientHello and begins an answer
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write([]byte{22, 3, 3, 0, 100, 2})
		silence(conn)
	}), "")
	secure := func(name string, do func(net.Conn)) {
		config := &tls.Config{Certificates: []tls.Certificate{w.authority.Issue(host(name))}, MinVersion: tls.VersionTLS12}
		w.enter(name, host(name), accept(t, func(conn net.Conn) {
			over := tls.Server(conn, config)
			if over.Handshake() == nil {
				do(over)
			}
		}), "")
	}
	secure("stuck", func(conn net.Conn) { // reads the header and no more
		_, _ = http.ReadRequest(bufio.NewReaderSize(conn, 16))
		<-time.After(10 * short) // the proxy gives up long before
	})
	secure("cut", func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	})
	secure("drips", func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
		for range 100 {
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
			<-time.After(short / 10)
		}
	})
	w.impatient()
	w.start()
	drip := func() io.Reader {
		reader, writer := io.Pipe()
		go func() {
			for range 100 {
				if _, err := writer.Write([]byte(" ")); err != nil {
					return
				}
				<-time.After(short / 10)
			}
		}()
		t.Cleanup(func() { writer.Close() })
		return reader
	}
	large := func() io.Reader { return bytes.NewReader(make([]byte, 9<<20)) }
	small := func() io.Reader { return strings.NewReader("{}") }
	for _, c := range []struct {
		name, to string
		body     func() io.Reader
		status   int
		codes    string
		fault    string
	}{
		{"silent TCP", "mute", small, 408, "timeout / REC_TIMEOUT", "receiver"},
		{"silent TCP, a large body", "mute", large, 408, "timeout / REC_TIMEOUT", "receiver"},
		{"unfinished TLS", "half", small, 408, "timeout / REC_TIMEOUT", "receiver"},
		{"the receiver stops reading", "stuck", large, 408, "timeout / REC_TIMEOUT", "receiver"},
		{"the receiver's answer breaks off", "cut", small, 503, "transient / REC_SERVICE_UNAVAILABLE", "receiver"},
		{"the receiver's answer drips", "drips", small, 408, "timeout / REC_TIMEOUT", "receiver"},
		{"the sender drips", "good", drip, 408, "timeout / PROXY_BAD_REQUEST", "sender"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.will(say(200, "application/fhir+json", "{}"))
			request := w.at("IMPATIENT", w.call("POST", "/$process-message", c.to, c.body()))
			a := send(t, request)
			if codes, _ := a.outcome(); a.status != c.status || codes != c.codes {
				t.Fatalf("got status %d, codes %s, body %.300s", a.status, codes, a.body)
			}
			line := w.line("BaRS request failed", request.Header.Get("X-Request-Id"))
			mustKeepForm(t, a.body, line)
			if line["fault"] != c.fault {
				t.Errorf("got log line %v, want fault %s", line, c.fault)
			}
		})
	}
}

// Nothing that changes something is sent twice, whatever the application's headers and the receiver's answer say
// (BAR-5.25, BAR-5.26); offers of other protocols end at the sender's gateway (BAR-5.22).
func TestOnceAndOneHop(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	r.will(say(200, "application/fhir+json", "{}"))
	w.enter("good", host("good"), listen(t, r, w.authority.Issue(host("good")), w.authority), "")
	var taken atomic.Int32
	config := &tls.Config{Certificates: []tls.Certificate{w.authority.Issue(host("closes"))}, MinVersion: tls.VersionTLS12}
	w.enter("closes", host("closes"), accept(t, func(conn net.Conn) { // answers one request, and closes on the second
		over := tls.Server(conn, config)
		in := bufio.NewReader(over)
		for i := range 2 {
			request, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, request.Body)
			taken.Add(1)
			if i == 0 {
				_, _ = io.WriteString(over, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			}
		}
	}), "")
	w.sender("client sender\n\t\tkey sender-1 " + w.key.Private + "\n\t\tbars {\n\t\t\tbase_url http://localhost:{$PORT_GATEWAY}" + base + "\n\t\t\tversion 1.2.0\n\t\t}")
	w.start()

	for _, method := range []string{"POST", "PUT", "DELETE"} {
		for i, want := range []int{200, 503} {
			taken.Store(0)
			request := w.ask(method, "/Appointment/1", "closes", "")
			request.Header.Set("Idempotency-Key", "1")
			request.Header.Set("X-Idempotency-Key", "2")
			request.Header.Set("X-Correlation-Id", "3")
			if a := send(t, request); a.status != want || taken.Load() != 1 {
				t.Errorf("%s, request %d on a connection: got status %d, %d requests at the receiver, want %d and 1", method, i+1, a.status, taken.Load(), want)
			}
		}
	}
	for name, body := range map[string]string{
		"ours": `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"security","details":{"coding":[{"code":"SEND_UNAUTHORIZED"}]}}]}`,
		"API":  `{"fault":{"faultstring":"x","detail":{"errorcode":"keymanagement.service.invalid_access_token"}}}`,
	} {
		r.will(func(w http.ResponseWriter, request *http.Request) {
			w.Header().Set("Countersign-Answered-By", "proxy")
			say(401, "application/fhir+json", body)(w, request)
		})
		a := send(t, w.ask("POST", "/$process-message", "good", `{"resourceType":"Parameters"}`))
		if _, _, count := r.got(); a.status != 401 || string(a.body) != body || count != 1 {
			t.Errorf("a receiver's 401 (%s): got status %d, body %s, %d requests at the receiver", name, a.status, a.body, count)
		}
	}

	r.will(say(200, "application/fhir+json", `{"ok":1}`))
	message := `<Bundle xmlns="http://hl7.org/fhir"><type value="message"/><entry><resource><MessageHeader><reason><coding><code value="new"/></coding></reason></MessageHeader></resource></entry></Bundle>`
	took := func(t *testing.T, client, said string) {
		t.Helper()
		got, body, count := r.got()
		if !strings.Contains(said, `{"ok":1}`) || count != 1 || string(body) != message || got.Header.Get("Accept") != "application/fhir+xml" ||
			got.Header.Get("Upgrade") != "" || got.Header.Get("Http2-Settings") != "" {
			t.Errorf("%s said %s; the receiver got %d requests, the last %+v with body %s", client, said, count, got, body)
		}
		r.will(say(200, "application/fhir+json", `{"ok":1}`))
	}
	t.Run("curl offers h2c", func(t *testing.T) {
		out, err := exec.Command("curl", "-sS", "--http2", "-m", "60", "-H", "Accept: application/fhir+xml", "-H", "Content-Type: application/fhir+xml",
			"-H", "NHSD-Target-Identifier: "+target("good"), "--data-binary", message, w.URL("SENDER", "/$process-message")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		took(t, "curl", string(out))
	})
	t.Run("Java's own client offers h2c", func(t *testing.T) {
		source := filepath.Join(t.TempDir(), "Send.java")
		if err := os.WriteFile(source, []byte(`import java.net.URI;
import java.net.http.*;

class Send {
	public static void main(String[] a) throws Exception {
		var request = HttpRequest.newBuilder(URI.create(a[0])).header("NHSD-Target-Identifier", a[1]).header("Accept", "application/fhir+xml")
			.header("Content-Type", "application/fhir+xml").POST(HttpRequest.BodyPublishers.ofString(a[2])).build();
		var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
		System.out.println(answer.statusCode() + answer.body());
	}
}
`), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("java", "-XX:TieredStopAtLevel=1", source, w.URL("SENDER", "/$process-message"), target("good"), message).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		took(t, "Java", string(out))
	})
}
