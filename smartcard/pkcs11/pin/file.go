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
)

// File reads the PIN from a file that only its owner can read. It never offers a PIN again that a card has refused,
// until the file was changed.
type File struct {
	path string

	mu      sync.Mutex
	last    stamp // of the file when it was read last
	refused stamp // of the file with the refused PIN
}

// stamp tells one state of a file from another.
type stamp struct {
	at   time.Time
	size int64
}

// NewFile is the source at a path. It is read when a PIN is asked for.
func NewFile(path string) *File { return &File{path: path} }

// Check says what is wrong with the file that nobody should start with: it is none, or others than its owner can read it. One
// that is not there may come yet. It reads nothing of it.
func (f *File) Check() error {
	info, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the PIN's file: %w", err)
	}
	return check(f.path, info)
}

func check(path string, info os.FileInfo) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("the PIN's file %s is not a file", path)
	case mode.Perm()&0o077 != 0:
		return fmt.Errorf("the PIN's file %s can be read or written by others (mode %04o): take their rights away, as by chmod 600", path, mode.Perm())
	}
	return nil
}

// Ask reads the first line of the file.
func (f *File) Ask(context.Context, Prompt) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("the PIN's file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("the PIN's file: %w", err)
	}
	f.last = stamp{info.ModTime(), info.Size()}
	if err := check(f.path, info); err != nil {
		return nil, err
	}
	if f.last == f.refused {
		return nil, errors.New("the card has refused the PIN in the file; it is not tried again until the file was changed, so that the card does not lock")
	}
	buffer := make([]byte, Max+2)
	n, err := io.ReadFull(file, buffer)
	if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(buffer)
		return nil, errors.Join(errors.New("the PIN's file holds more than a PIN, or cannot be read"), err)
	}
	line, _, _ := bytes.Cut(buffer[:n], []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return nil, errors.New("the PIN's file is empty")
	}
	return line, nil
}

// Stored is true.
func (f *File) Stored() bool { return true }

// Rejected remembers the file as it was read.
func (f *File) Rejected() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = f.last
}
