package command

import (
	"fmt"
	"io"
	"os"
)

// progress tells a person what happens. On a terminal what only replaces the last news overwrites it; elsewhere
// every line stays.
type progress struct {
	out      io.Writer
	terminal bool
	last     string
	open     bool // whether a line waits to be overwritten
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if file, isFile := out.(*os.File); isFile {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// line tells something that stays.
func (p *progress) line(format string, args ...any) {
	p.end()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// state tells how things stand, if that is news.
func (p *progress) state(text string) {
	if text == p.last {
		return
	}
	p.last = text
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	p.open = true
	fmt.Fprint(p.out, "\r\x1b[K"+text)
}

// count tells how many are done.
func (p *progress) count(done, total int) { p.state(fmt.Sprintf("%d of %d signed", done, total)) }

// end leaves the last news standing.
func (p *progress) end() {
	if p.open {
		p.open = false
		fmt.Fprintln(p.out)
	}
}
