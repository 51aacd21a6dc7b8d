package pin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Terminal asks at a terminal without echo. The interrupt key cancels the prompt, not the gateway.
type Terminal struct {
	device string
	turn   one
}

// NewTerminal asks at a device; empty: /dev/tty, the terminal this process was started from.
func NewTerminal(device string) *Terminal {
	if device == "" {
		device = "/dev/tty"
	}
	return &Terminal{device: device, turn: newOne()}
}

// Ask shows the prompt and reads a line.
func (t *Terminal) Ask(ctx context.Context, p Prompt) (pin []byte, err error) {
	if err := t.turn.enter(ctx); err != nil {
		return nil, err
	}
	defer t.turn.leave()
	tty, err := os.OpenFile(t.device, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("no terminal to ask for the PIN: %w", err)
	}
	defer tty.Close()
	restore, err := raw(tty)
	if err != nil {
		return nil, fmt.Errorf("%s is not a terminal that can ask for the PIN: %w", t.device, err)
	}
	defer restore()
	// A pending read ends with the context.
	stop := context.AfterFunc(ctx, func() { _ = tty.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	if _, err := fmt.Fprintf(tty, "\r\n%s\r\nPIN (Ctrl-C cancels): ", strings.Join(p.Lines(), "\r\n")); err != nil {
		return nil, err
	}
	defer fmt.Fprint(tty, "\r\n")
	pin, err = readLine(tty)
	if err != nil && ctx.Err() != nil {
		err = why(ctx)
	}
	return pin, err
}

// raw turns off the terminal's processing of keys, echo included. Reads of the file can still be interrupted.
func raw(tty *os.File) (restore func(), err error) {
	conn, err := tty.SyscallConn()
	if err != nil {
		return nil, err
	}
	var state *term.State
	var refused error
	if err := conn.Control(func(fd uintptr) { state, refused = term.MakeRaw(int(fd)) }); err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, refused
	}
	return func() {
		_ = conn.Control(func(fd uintptr) { _ = term.Restore(int(fd), state) }) // the terminal may have gone
	}, nil
}

// Keys with a meaning.
const (
	interrupt = 0x03
	endOfText = 0x04
	backspace = 0x08
	eraseLine = 0x15
	escape    = 0x1b
	erase     = 0x7f
)

// readLine reads key by key into one buffer, and wipes it unless it returns it.
func readLine(tty *os.File) (line []byte, err error) {
	buffer, key := make([]byte, Max), make([]byte, 1)
	defer func() {
		clear(key)
		if err != nil {
			clear(buffer)
		}
	}()
	for n := 0; ; {
		if _, err := tty.Read(key); err != nil {
			return nil, err
		}
		switch key[0] {
		case '\r', '\n':
			if n == 0 {
				return nil, errEmpty
			}
			return buffer[:n], nil
		case interrupt, endOfText, escape:
			return nil, ErrCancelled
		case backspace, erase:
			n = max(n-1, 0)
		case eraseLine:
			n = 0
		default:
			if n == len(buffer) {
				return nil, errors.New("the typed text is longer than a PIN can be")
			}
			buffer[n] = key[0]
			n++
		}
	}
}

// Stored returns false.
func (t *Terminal) Stored() bool { return false }

// Rejected does nothing: the next prompt says that a PIN was wrong, because the card says so.
func (t *Terminal) Rejected() {}
