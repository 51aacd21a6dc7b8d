package pin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
)

// terminal is a pseudo-terminal with a person at it.
type terminal struct {
	person *os.File // write to type, read what is shown
	device string
	shown  strings.Builder
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	conn, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	if err := conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{person: master, device: fmt.Sprintf("/dev/pts/%d", number)}
	// A second open file, like a shell's, keeps the terminal from hanging up between prompts.
	shell, err := os.OpenFile(term.device, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shell.Close() })
	return term
}

// await reads what is shown until it contains the text.
func (term *terminal) await(t *testing.T, text string) {
	t.Helper()
	if err := term.person.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 256)
	for !strings.Contains(term.shown.String(), text) {
		n, err := term.person.Read(buffer)
		if err != nil {
			t.Fatalf("waiting for %q: %v; got %q", text, err, term.shown.String())
		}
		term.shown.Write(buffer[:n])
	}
}

func (term *terminal) enter(t *testing.T, keys string) {
	t.Helper()
	if _, err := term.person.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

type given struct {
	pin []byte
	err error
}

func ask(ctx context.Context, source pin.Source) <-chan given {
	answer := make(chan given, 1)
	go func() {
		secret, err := source.Ask(ctx, pin.Prompt{User: "555086689106", Token: "an\x1b[2Jna", Reader: "reader 1", Client: "Acme EPR", Items: 3, LastTry: true})
		answer <- given{secret, err}
	}()
	return answer
}

func TestTerminal(t *testing.T) {
	for keys, want := range map[string]string{
		"1234\r": "1234", "12x\x7f34\n": "1234", "999\x15pass word\r": "pass word", "\x7f\x081\r": "1", "12\xc3\xa934\r": "12é34",
	} {
		term := newTerminal(t)
		answer := ask(t.Context(), pin.NewTerminal(term.device))
		term.await(t, "PIN (Ctrl-C cancels): ")
		term.enter(t, keys)
		got := <-answer
		if got.err != nil || string(got.pin) != want {
			t.Errorf("%q: got %q, error %v", keys, got.pin, got.err)
		}
		term.await(t, "cancels): \r\n")
		shown := term.shown.String()
		for _, text := range []string{"Acme EPR asks for 3 signatures by user 555086689106.", `Card "an[2Jna" in reader 1.`, "another wrong PIN locks the card"} {
			if !strings.Contains(shown, text) {
				t.Errorf("want %q in the prompt, got %q", text, shown)
			}
		}
		if strings.Contains(shown, "12") || strings.Contains(shown, "pass") {
			t.Errorf("the prompt shows the PIN: %q", shown)
		}
	}
}

func TestTerminalCancelled(t *testing.T) {
	for _, keys := range []string{"12\x03", "\x04", "12\x1b", "\r"} {
		term := newTerminal(t)
		answer := ask(t.Context(), pin.NewTerminal(term.device))
		term.await(t, "cancels): ")
		term.enter(t, keys)
		if got := <-answer; !errors.Is(got.err, pin.ErrCancelled) || got.pin != nil {
			t.Errorf("%q: got %q, error %v", keys, got.pin, got.err)
		}
	}
}

// A prompt times out even if nobody touches a key, and the next one waits its turn.
func TestTerminalTimeout(t *testing.T) {
	term := newTerminal(t)
	source := pin.NewTerminal(term.device)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	first, second := ask(ctx, source), ask(ctx, source)
	for _, answer := range []<-chan given{first, second} {
		if got := <-answer; !errors.Is(got.err, pin.ErrTimeout) {
			t.Errorf("%v", got.err)
		}
	}
	if n := strings.Count(term.shown.String(), "PIN"); n > 1 {
		t.Errorf("got %d prompts at once, want one", n)
	}
	gone, leave := context.WithCancel(t.Context())
	answer := ask(gone, source)
	leave()
	if got := <-answer; !errors.Is(got.err, context.Canceled) {
		t.Errorf("%v", got.err)
	}
}

func TestNoTerminal(t *testing.T) {
	for _, device := range []string{"/nowhere", "/dev/null"} {
		if _, err := pin.NewTerminal(device).Ask(t.Context(), pin.Prompt{}); err == nil || errors.Is(err, pin.ErrCancelled) {
			t.Errorf("%s: got error %v", device, err)
		}
	}
}

// Debian's own pinentry, with a person at its terminal.
func TestPinentry(t *testing.T) {
	for keys, want := range map[string]string{"12%4\n": "12%4", "4 5\n": "4 5"} {
		term := newTerminal(t)
		source := pin.NewPinentry("pinentry-tty", append(os.Environ(), "GPG_TTY="+term.device, "TERM=vt100"))
		answer := ask(t.Context(), source)
		term.await(t, "PIN:")
		term.enter(t, keys)
		if got := <-answer; got.err != nil || string(got.pin) != want {
			t.Errorf("%q: got %q, error %v", keys, got.pin, got.err)
		}
		if !strings.Contains(term.shown.String(), "Acme EPR asks for 3 signatures") {
			t.Errorf("got prompt %q", term.shown.String())
		}
	}
}

func TestPinentryTimeout(t *testing.T) {
	term := newTerminal(t)
	source := pin.NewPinentry("pinentry-tty", append(os.Environ(), "GPG_TTY="+term.device, "TERM=vt100"))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got := <-ask(ctx, source); !errors.Is(got.err, pin.ErrTimeout) {
		t.Errorf("%v", got.err)
	}
}
