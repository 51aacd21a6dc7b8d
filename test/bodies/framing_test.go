package bodies_test

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// dropped is how long the rest of a refused body is read at most, and how many bytes.
	dropTime  = 5 * time.Second
	dropBytes = 8 << 20

	// smuggled is a request that stands in bodies, and must never be answered. Any byte of a body could begin one.
	smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
)

// framing is how a request brings its body.
type framing struct {
	head  string // lines
	body  string
	after string // what is sent once the answer has come, and some seconds have gone
	whole bool   // all of the body is sent before the answer is read
	large bool   // sent to a few endpoints, and to all of them by make proof
}

// send sends a request that begins with these lines, as far as it goes. A body is not copied as a whole: many are under way
// at one time.
func (f framing) send(to io.Writer, lines string) {
	for _, text := range []string{lines + f.head + "\r\n", f.body} {
		if _, err := io.Copy(to, struct{ io.Reader }{strings.NewReader(text)}); err != nil {
			return // it is refused, and closed
		}
	}
}

var framings = map[string]framing{
	"nothing":             {head: "Content-Length: 0\r\n", whole: true},
	"small":               {head: length(len(smuggled)), body: smuggled, whole: true},
	"small, half sent":    {head: length(100), body: "0123456789", after: smuggled + smuggled},
	"paused":              {head: length(300 << 10), body: "0123456789", after: smuggled + smuggled},
	"256 KiB and a byte":  {head: length(256<<10 + 1), body: filled(256<<10 + 1), whole: true},
	"300 KiB":             {head: length(300 << 10), body: filled(300 << 10), whole: true},
	"2 MiB and a byte":    {head: length(2<<20 + 1), body: filled(2<<20 + 1), whole: true, large: true},
	"5 MiB":               {head: length(5 << 20), body: filled(5 << 20), whole: true, large: true},
	"8 MiB":               {head: length(dropBytes), body: filled(dropBytes), whole: true, large: true},
	"9 MiB":               {head: length(9 << 20), body: filled(9 << 20), large: true},
	"11 MiB":              {head: length(11 << 20), body: filled(11 << 20), large: true},
	"chunked":             {head: chunked, body: chunk(300<<10) + "0\r\n\r\n", whole: true},
	"chunked, small":      {head: chunked, body: chunk(len(smuggled)) + "0\r\n\r\n", whole: true},
	"chunked, paused":     {head: chunked, body: "a\r\n0123456789\r\n", after: smuggled},
	"chunked, 5 MiB":      {head: chunked, body: chunk(5<<20) + "0\r\n\r\n", whole: true, large: true},
	"half a chunk":        {head: chunked, body: "fffff\r\n" + smuggled, after: smuggled},
	"half a chunk's size": {head: chunked, body: "ff", after: "\r\n" + smuggled},
	"no chunk":            {head: chunked, body: "nonsense\r\n" + smuggled + smuggled},
	"trailers":            {head: chunked + "Trailer: X-Sum\r\n", body: chunk(10) + "0\r\nX-Sum: 1\r\n\r\n", whole: true},
	"half the trailers":   {head: chunked + "Trailer: X-Sum\r\n", body: chunk(10) + "0\r\nX-Sum: 1\r\n", after: smuggled},
	"a long trailer":      {head: chunked, body: chunk(10) + "0\r\nX-Sum: " + strings.Repeat("1", 20<<10), after: "\r\n\r\n" + smuggled},
	"expecting":           {head: "Expect: 100-continue\r\n" + length(len(smuggled)), after: smuggled},
	"expecting, sending":  {head: "Expect: 100-continue\r\n" + length(300<<10), body: filled(300 << 10), whole: true},
	"asking to close":     {head: "Connection: close\r\n" + length(300<<10), body: filled(300 << 10), whole: true},
}

const chunked = "Transfer-Encoding: chunked\r\n"

func length(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }

func filled(n int) string { return strings.Repeat(smuggled, n/len(smuggled)+1)[:n] }

func chunk(n int) string { return fmt.Sprintf("%x\r\n%s\r\n", n, filled(n)) }
