package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/textfile"
)

// File reads the PIN from a file that only its owner can read. It does not offer a PIN the card has refused again
// until the file changes.
type File struct {
	path string

	mu      sync.Mutex
	last    stamp // of the file at the last read
	refused stamp // of the file with the refused PIN
}

// stamp identifies one state of a file.
type stamp struct {
	at   time.Time
	size int64
}

// NewFile returns the source for a path. The file is read when a PIN is needed.
func NewFile(path string) *File { return &File{path: path} }

// Check refuses a file that is not regular, or that others than its owner can read or write. A missing file is no error,
// because it may still be created. Check does not read the file.
func (f *File) Check() error {
	info, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("PIN file: %w", err)
	}
	return check(f.path, info)
}

func check(path string, info os.FileInfo) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("PIN file %s: not a regular file", path)
	case mode.Perm()&0o077 != 0:
		return fmt.Errorf("PIN file %s: others can read or write it (mode %04o): restrict it, for example with chmod 600", path, mode.Perm())
	}
	return nil
}

// Ask returns the first line of the file.
func (f *File) Ask(context.Context, Prompt) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("PIN file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("PIN file: %w", err)
	}
	f.last = stamp{info.ModTime(), info.Size()}
	if err := check(f.path, info); err != nil {
		return nil, err
	}
	if f.last == f.refused {
		return nil, errors.New("PIN file: the card refused this PIN: it is not tried again until the file changes, so that the card does not lock")
	}
	buffer := make([]byte, 2*Max+8) // a PIN in UTF-16 with its mark and line end
	n, err := io.ReadFull(file, buffer)
	if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(buffer)
		return nil, errors.Join(errors.New("PIN file: holds more than a PIN, or cannot be read"), err)
	}
	secret, err := firstLine(buffer[:n])
	if err != nil {
		clear(buffer)
		return nil, fmt.Errorf("PIN file: %w", err)
	}
	return secret, nil
}

// firstLine returns the first line of a text. A byte order mark, which would cost a try of the card, is no part of it.
func firstLine(buffer []byte) ([]byte, error) {
	text, err := textfile.UTF8(buffer)
	if err != nil {
		return nil, err
	}
	if len(text) > 0 && len(buffer) > 0 && &text[len(text)-1] != &buffer[len(buffer)-1] {
		clear(buffer) // text is a copy
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case len(line) == 0:
		return nil, errors.New("empty")
	case len(line) > Max:
		clear(text)
		return nil, errors.New("holds more than a PIN")
	case bytes.IndexByte(line, 0) >= 0:
		clear(text)
		return nil, errors.New("holds a NUL byte: save it as UTF-8")
	}
	return line, nil
}

// Stored returns true.
func (f *File) Stored() bool { return true }

// Rejected remembers the state of the file that was read.
func (f *File) Rejected() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = f.last
}
