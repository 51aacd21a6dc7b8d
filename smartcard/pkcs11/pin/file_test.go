package pin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pin")
	source := pin.NewFile(path)
	read := func() (string, error) {
		secret, err := source.Ask(t.Context(), pin.Prompt{})
		return string(secret), err
	}
	if _, err := read(); err == nil {
		t.Error("a missing file: got no error")
	}
	for _, c := range []struct {
		text, want string
	}{{"1234", "1234"}, {"1234\n", "1234"}, {"12 34\r\nmore", "12 34"}, {"", ""}, {"\n1234", ""}, {strings.Repeat("1", 300), ""},
		{"\xef\xbb\xbf1234\r\n", "1234"}, {"\xff\xfe1\x002\x003\x004\x00\r\x00\n\x00", "1234"}, {"\xfe\xff\x001\x002", "12"}, // as editors of Windows save it
		{"1\x002\x00", ""}, {"12\x0034", ""}, {strings.Repeat("1", pin.Max), strings.Repeat("1", pin.Max)}, {strings.Repeat("1", 600), ""}} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := read(); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%.20q: got %.20q, error %v", c.text, got, err)
		}
	}
	if err := os.WriteFile(path, []byte("1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode os.FileMode
		want string
	}{{0o640, ""}, {0o604, ""}, {0o400, "1234"}} { // the last mode stays
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if got, _ := read(); got != c.want {
			t.Errorf("mode %o: got %q", c.mode, got)
		}
	}
	source.Rejected()
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a refused PIN was returned again (error %v)", err)
	}
	if err := os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := read(); got != "1234" {
		t.Errorf("a changed file: got %q, error %v", got, err)
	}
	if _, err := pin.NewFile(t.TempDir()).Ask(t.Context(), pin.Prompt{}); err == nil {
		t.Error("a directory: got no error")
	}
}
