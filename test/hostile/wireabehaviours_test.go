package hostile

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What may come of an answer that does not keep to the wire.
var (
	garbled     = Outcome{"opened", "agent_garbage"}
	unreachable = Outcome{"opened", "agent_unreachable"}
	tooLong     = Outcome{"opened", "agent_timeout"}
	declined    = Outcome{"opened", "agent_refused"}
)

// told sends what is made of an honest answer's lines.
func told(change func(a *Answer, all []string) []string) way {
	return func(w http.ResponseWriter, _ *http.Request, a *Answer) { send(w, change(a, lines(a))...) }
}

// headed sends an honest answer under other headers.
func headed(status int, headers ...string) way {
	return func(w http.ResponseWriter, _ *http.Request, a *Answer) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Join(lines(a), ""))
	}
}

// silent sends the first lines of an honest answer, and then waits for the gateway to go.
func silent(n int) way {
	return func(w http.ResponseWriter, r *http.Request, a *Answer) {
		if n > 0 {
			send(w, lines(a)[:n]...)
		}
		<-r.Context().Done()
	}
}

// broken sends the first lines of an honest answer, and breaks the connection.
func broken(n int) way {
	return func(w http.ResponseWriter, _ *http.Request, a *Answer) {
		if n > 0 {
			send(w, lines(a)[:n]...)
		}
		panic(http.ErrAbortHandler)
	}
}

// endless sends lines for as long as the gateway takes them.
func endless(text string, pause time.Duration) way {
	return func(w http.ResponseWriter, r *http.Request, a *Answer) {
		send(w, lines(a)[0])
		for {
			if _, err := io.WriteString(w, text); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// failing says that the second item failed, in these words.
func failing(failure string) way {
	return told(func(a *Answer, all []string) []string {
		return []string{all[0], fmt.Sprintf(`{"id":%q,"error":%s}`+"\n", a.Items[1].ID, failure)}
	})
}

// behaviours are what wire A can do wrong beside the contents of an answer.
func behaviours() []behaviour {
	return slices.Concat(timings(), statuses(), spellings(), failures())
}

func timings() []behaviour {
	return []behaviour{
		{"silence from the beginning", silent(0), tooLong},
		{"silence after the certificate", silent(1), tooLong},
		{"silence after two items", silent(3), tooLong},
		{"silence before done", silent(4), tooLong},
		{"one byte at a time", endless("x", 100*time.Millisecond), tooLong},
		{"a line without an end", endless(strings.Repeat("x", 1<<16), 0), garbled},
		{"empty lines without an end", endless("\n", 0), garbled},
		{"broken off at once", broken(0), unreachable},
		{"broken off after two items", broken(3), unreachable},
		{"not HTTP", func(w http.ResponseWriter, _ *http.Request, _ *Answer) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, "SSH-2.0-agent\r\n")
			_ = conn.Close()
		}, unreachable},
		{"more headers than there can be", func(w http.ResponseWriter, _ *http.Request, a *Answer) {
			for i := range 40_000 {
				w.Header().Set(fmt.Sprintf("X-Flood-%d", i), strings.Repeat("x", 100))
			}
			send(w, lines(a)...)
		}, unreachable},
		{"the end after two items", told(func(_ *Answer, all []string) []string { return all[:3] }), garbled},
		{"the end within a line", told(func(_ *Answer, all []string) []string { return []string{all[0], all[1][:20]} }), garbled},
		{"nothing", told(func(*Answer, []string) []string { return []string{""} }), garbled},
	}
}

func statuses() []behaviour {
	return []behaviour{
		{"204", func(w http.ResponseWriter, _ *http.Request, _ *Answer) { w.WriteHeader(204) }, garbled},
		{"206", headed(206), garbled},
		{"a redirect", headed(307, "Location", "https://169.254.169.254/sign"), garbled},
		{"404", headed(404), declined},
		{"500", headed(500), unreachable},
		{"a page", headed(200, "Content-Type", "text/html"), garbled},
		{"an encoding that was not asked for", headed(200, "Content-Encoding", "gzip"), garbled},
	}
}

// spelt replaces the second item's line.
func spelt(text func(item Item) string) way {
	return told(func(a *Answer, all []string) []string {
		all[2] = text(a.Items[1]) + "\n"
		return all
	})
}

func spellings() []behaviour {
	items := map[string]func(i Item) string{
		"not JSON":      func(Item) string { return "<html>" },
		"a list":        func(Item) string { return "[]" },
		"nested deeply": func(Item) string { return strings.Repeat(`{"id":`, 10_000) },
		"a member twice": func(i Item) string {
			return fmt.Sprintf(`{"id":%q,"id":%q,"signature":%q}`, i.ID, i.ID, encode(i.Signature))
		},
		"a member in capitals": func(i Item) string { return fmt.Sprintf(`{"id":%q,"SIGNATURE":%q}`, i.ID, encode(i.Signature)) },
		"a signature and an error": func(i Item) string {
			return fmt.Sprintf(`{"id":%q,"signature":%q,"error":{"code":"no_card"}}`, i.ID, encode(i.Signature))
		},
		"a signature without an id":  func(i Item) string { return fmt.Sprintf(`{"signature":%q}`, encode(i.Signature)) },
		"an id that is a number":     func(i Item) string { return fmt.Sprintf(`{"id":7,"signature":%q}`, encode(i.Signature)) },
		"base64 of another alphabet": func(i Item) string { return fmt.Sprintf(`{"id":%q,"signature":"-_-_"}`, i.ID) },
		"base64 with a line break": func(i Item) string {
			return fmt.Sprintf(`{"id":%q,"signature":"%s\n%s"}`, i.ID, encode(i.Signature)[:4], encode(i.Signature)[4:])
		},
		"an empty signature":         func(i Item) string { return fmt.Sprintf(`{"id":%q,"signature":""}`, i.ID) },
		"a signature of 2,000 bytes": func(i Item) string { return fmt.Sprintf(`{"id":%q,"signature":%q}`, i.ID, encode(make([]byte, 2000))) },
		"a byte that is not of UTF-8": func(i Item) string {
			return fmt.Sprintf("{\"id\":\"%s\xff\",\"signature\":%q}", i.ID, encode(i.Signature))
		},
		"a mark at the beginning": func(i Item) string {
			return fmt.Sprintf("\ufeff{\"id\":%q,\"signature\":%q}", i.ID, encode(i.Signature))
		},
		"done that is false":             func(Item) string { return `{"done":false,"signed":3,"failed":0}` },
		"a line of more than it can be":  func(Item) string { return strings.Repeat(" ", 1<<17) },
		"an error without a code":        func(i Item) string { return fmt.Sprintf(`{"id":%q,"error":{"message":"x"}}`, i.ID) },
		"a certificate that is too long": func(Item) string { return fmt.Sprintf(`{"certificate":%q}`, encode(bytes.Repeat([]byte{1}, 17<<10))) },
	}
	var all []behaviour
	for name, text := range items {
		all = append(all, behaviour{"a line: " + name, spelt(text), garbled})
	}
	slices.SortFunc(all, func(a, b behaviour) int { return strings.Compare(a.name, b.name) })
	return append(all,
		behaviour{"a line: a second certificate", spelt(func(Item) string { return `{"certificate":"MAA="}` }), Mismatch},
		behaviour{"done too early", told(func(_ *Answer, all []string) []string { return []string{all[0], all[1], all[4], all[2], all[3]} }), Mismatch},
		behaviour{"done with a wrong count", told(func(_ *Answer, all []string) []string {
			return append(all[:4], `{"done":true,"signed":250,"failed":0}`+"\n")
		}), Mismatch},
		behaviour{"done, and one failed", told(func(_ *Answer, all []string) []string {
			return append(all[:4], `{"done":true,"signed":3,"failed":1}`+"\n")
		}), Mismatch},
		behaviour{"something after done", told(func(_ *Answer, all []string) []string { return append(all, all[1]) }), garbled},
		behaviour{"the certificate last", told(func(_ *Answer, all []string) []string {
			return []string{all[1], all[2], all[3], all[0], all[4]}
		}), Mismatch},
		behaviour{"no certificate", told(func(_ *Answer, all []string) []string { return all[1:] }), Mismatch},
	)
}

func failures() []behaviour {
	return []behaviour{
		{"a failure of its own making", failing(`{"code":"signed","message":"<script>alert(1)</script>"}`), declined},
		{"a failure that is final", failing(`{"code":"0x99","message":"no","final":true}`), Outcome{"failed", "agent_refused"}},
		{"a failure in the gateway's words", failing(`{"code":"certificate_revoked","message":"x"}`), declined},
		{"a failure of an item that was not asked for", told(func(_ *Answer, all []string) []string {
			return []string{all[0], `{"id":"extra","error":{"code":"no_card","message":"x"}}` + "\n"}
		}), Mismatch},
		{"a failure of what it had signed", told(func(a *Answer, all []string) []string {
			return append(all[:4], fmt.Sprintf(`{"id":%q,"error":{"code":"no_card","message":"x"}}`+"\n", a.Items[0].ID))
		}), Mismatch},
	}
}
