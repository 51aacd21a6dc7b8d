package pin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Pinentry asks with one of GnuPG's pinentry programs, which every desktop has. It speaks the Assuan protocol itself,
// because libraries return the PIN as a string.
type Pinentry struct {
	program string
	env     []string
	turn    one
}

// NewPinentry asks with a program; empty: pinentry. env is its environment, which must lead to the person's desktop.
func NewPinentry(program string, env []string) *Pinentry {
	if program == "" {
		program = "pinentry"
	}
	return &Pinentry{program: program, env: env, turn: newOne()}
}

// Ask opens the dialog and waits for it.
func (p *Pinentry) Ask(ctx context.Context, prompt Prompt) (pin []byte, err error) {
	if err := p.turn.enter(ctx); err != nil {
		return nil, err
	}
	defer p.turn.leave()
	cmd := exec.CommandContext(ctx, p.program) //nolint:gosec // the operator's choice
	cmd.Env, cmd.WaitDelay = p.env, time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot ask for the PIN: %w", err)
	}
	d := dialog{in: in, out: bufio.NewReaderSize(out, 4<<10)}
	pin, err = d.ask(p.commands(ctx, prompt))
	_ = in.Close()
	_ = cmd.Process.Kill() // its answer is complete
	_ = cmd.Wait()
	if err != nil && ctx.Err() != nil {
		err = why(ctx)
	}
	return pin, err
}

// commands returns the program's settings before it asks. It need not support the wishes.
func (p *Pinentry) commands(ctx context.Context, prompt Prompt) (wishes, orders []string) {
	for _, variable := range p.env {
		switch name, value, _ := strings.Cut(variable, "="); name {
		case "GPG_TTY":
			wishes = append(wishes, "OPTION ttyname="+value)
		case "TERM":
			wishes = append(wishes, "OPTION ttytype="+value)
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		wishes = append(wishes, fmt.Sprintf("SETTIMEOUT %d", max(1, int(time.Until(deadline).Seconds()))))
	}
	wishes = append(wishes, "SETTITLE Smartcard", "SETOK Sign", "SETCANCEL Cancel")
	orders = []string{"SETDESC " + escapeText(strings.Join(prompt.Lines(), "\n")), "SETPROMPT PIN:"}
	return wishes, orders
}

// Stored returns false.
func (p *Pinentry) Stored() bool { return false }

// Rejected does nothing: the next prompt says that a PIN was wrong, because the card says so.
func (p *Pinentry) Rejected() {}

// dialog is a conversation in the Assuan protocol.
type dialog struct {
	in  io.Writer
	out *bufio.Reader
}

func (d dialog) ask(wishes, orders []string) ([]byte, error) {
	if _, err := d.answer(); err != nil {
		return nil, fmt.Errorf("pinentry does not start: %w", err)
	}
	for _, wish := range wishes {
		var refused *refusal
		if _, err := d.say(wish); err != nil && !errors.As(err, &refused) {
			return nil, err
		}
	}
	for _, order := range orders {
		if _, err := d.say(order); err != nil {
			return nil, err
		}
	}
	pin, err := d.say("GETPIN")
	switch {
	case err != nil:
		clear(pin)
		return nil, err
	case len(pin) == 0:
		return nil, errEmpty
	}
	return pin, nil
}

func (d dialog) say(line string) ([]byte, error) {
	if _, err := io.WriteString(d.in, line+"\n"); err != nil {
		return nil, err
	}
	return d.answer()
}

// answer reads up to the OK or ERR line and returns the data before it.
func (d dialog) answer() (data []byte, err error) {
	for {
		line, err := d.out.ReadSlice('\n')
		if err != nil {
			return data, fmt.Errorf("pinentry ended early: %w", err)
		}
		word, rest, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" "))
		switch string(word) {
		case "OK":
			return data, nil
		case "ERR":
			return data, refused(rest)
		case "D":
			if data == nil {
				data = make([]byte, 0, Max)
			}
			data, err = unescape(data, rest)
			clear(line) // the reader's own buffer
			if err != nil {
				return data, err
			}
		}
	}
}

// refusal is an ERR line.
type refusal struct{ text string }

func (r *refusal) Error() string { return "pinentry: " + r.text }

// Codes of ERR lines, without the source of the error (libgpg-error).
const (
	codeMask           = 0xFFFF
	codeTimeout        = 62
	codeCancelled      = 99
	codeNotConfirmed   = 114
	codeFullyCancelled = 198
)

func refused(line []byte) error {
	number, text, _ := strings.Cut(string(line), " ")
	code, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return &refusal{"error without a code"}
	}
	switch code & codeMask {
	case codeCancelled, codeFullyCancelled, codeNotConfirmed:
		return ErrCancelled
	case codeTimeout:
		return ErrTimeout
	}
	return &refusal{tame(text)}
}

// escapeText makes text a single argument of a line.
func escapeText(s string) string {
	return strings.NewReplacer("%", "%25", "\n", "%0A", "\r", "%0D").Replace(s)
}

// unescape appends a line's data to data, up to the length of a PIN.
func unescape(data, line []byte) ([]byte, error) {
	for i := 0; i < len(line); i++ {
		b := line[i]
		if b == '%' {
			if i+2 >= len(line) {
				return data, errors.New("pinentry: incomplete escape in the data")
			}
			high, low := nibble(line[i+1]), nibble(line[i+2])
			if high > 15 || low > 15 {
				return data, errors.New("pinentry: invalid escape in the data")
			}
			b, i = high<<4|low, i+2
		}
		if len(data) == Max {
			return data, errors.New("the entered text is longer than a PIN can be")
		}
		data = append(data, b)
	}
	return data, nil
}

// nibble returns a hexadecimal digit's value, or more than 15. It avoids strings because the digit may be part of a
// PIN.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}
