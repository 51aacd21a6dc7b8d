package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of an entry in bytes: its data, and its line. A batch of 250 items takes some 30 KB.
const (
	maxData = 1 << 20
	maxLine = maxData + 4096
)

func fileName(number int) string { return fmt.Sprintf("audit-%06d.jsonl", number) }

// fileNames returns the log's files in order.
func fileNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, "audit-") && strings.HasSuffix(name, ".jsonl") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		if name != fileName(i+1) {
			return nil, fmt.Errorf("%s is missing: the log is not whole", fileName(i+1))
		}
	}
	return names, nil
}

// open finds the end of the chain and stands ready to write behind it.
func (l *Log) open() error {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	var err error
	if l.lock, err = lockFile(filepath.Join(l.Dir, "lock")); err != nil {
		return err
	}
	names, err := fileNames(l.Dir)
	if err != nil {
		return err
	}
	tail, err := l.tail(names)
	if err != nil {
		return err
	}
	dropped := int64(0)
	for i, name := range tail {
		torn, err := l.resume(name, i == len(tail)-1)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		dropped += torn
	}
	if err := l.openFile(max(len(names), 1)); err != nil {
		return err
	}
	if dropped > 0 {
		l.Logger.Warn("the audit log ended in a torn line, which was never acknowledged; it was taken off",
			"dir", l.Dir, "bytes", dropped)
		data, err := json.Marshal(map[string]int64{"dropped_bytes": dropped})
		if err != nil {
			return err
		}
		return l.extend([]Entry{{Kind: kindRecovered, Data: data}})
	}
	return nil
}

// tail is the files to read for the end of the chain: the last that holds a whole line, and those after it, which a
// crash left empty or with a torn one. The rest of a long log is Verify's to read.
func (l *Log) tail(names []string) ([]string, error) {
	for i := len(names) - 1; i > 0; i-- {
		holds, err := holdsLine(filepath.Join(l.Dir, names[i]))
		if holds || err != nil {
			return names[i:], err
		}
	}
	return names, nil
}

// holdsLine says whether a file holds a line that is whole.
func holdsLine(path string) (holds bool, err error) {
	err = readLines(path, func(_ []byte, complete bool) error {
		if holds = complete; holds {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return holds, err
}

// errEnough ends a reading early.
var errEnough = errors.New("enough was read")

// resume follows the chain through one file, and takes a torn last line off the last one.
func (l *Log) resume(name string, last bool) (torn int64, err error) {
	path := filepath.Join(l.Dir, name)
	whole, size := int64(0), int64(0)
	err = readLines(path, func(line []byte, complete bool) error {
		size += int64(len(line)) + 1
		if !complete && last {
			torn = int64(len(line))
			return nil
		}
		e, err := parse(line)
		if err == nil && (l.last.Seq > 0 || e.Seq == 1) { // else the chain before it is in files that are not read
			err = e.follows(l.last)
		}
		if err != nil {
			return err
		}
		whole = size
		l.note(e)
		return nil
	})
	if err == nil && torn > 0 {
		err = os.Truncate(path, whole)
	}
	return torn, err
}

// note keeps what the writer must know of an entry that stands in the log.
func (l *Log) note(e Entry) {
	l.last = e
	switch e.Kind {
	case kindHead:
		l.unsigned = 0
	case kindKey:
		var key publicKey
		if json.Unmarshal(e.Data, &key) == nil {
			l.known[key.KID] = true
		}
	default:
		l.unsigned++
	}
}

// readLines calls back with each line of a file, and whether it ends in a newline.
func readLines(path string, each func(line []byte, complete bool) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	reader := bufio.NewReaderSize(file, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(reader)
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if failed := each(bytes.TrimSuffix(line, []byte("\n")), err == nil); failed != nil {
			return fmt.Errorf("line %d: %w", number, failed)
		}
	}
}

func readLine(reader *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := reader.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, errors.New("the line is longer than any entry")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// openFile opens a file of the log to be written to, and makes it if it is not there.
func (l *Log) openFile(number int) error {
	file, err := os.OpenFile(filepath.Join(l.Dir, fileName(number)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = syncDir(l.Dir)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.number, l.size = file, number, info.Size()
	return nil
}

// extend chains entries to the log and makes them durable. When that fails, what was written of them is taken off
// again, so that the chain stays whole; when even that fails, every later call fails.
func (l *Log) extend(entries []Entry) error {
	if l.file == nil {
		return errors.New("audit: the log cannot be written any more; see the error before")
	}
	if l.size >= l.FileSize {
		if err := l.nextFile(); err != nil {
			return err
		}
	}
	var text []byte
	last := l.last
	for _, e := range entries {
		e.Seq, e.Prev, e.Time = last.Seq+1, last.Hash, l.Now().UTC()
		line, err := e.line()
		if err != nil {
			return err
		}
		text, last = append(text, line...), e
	}
	_, err := l.file.Write(text)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return l.takeBack(err)
	}
	l.size, l.last = l.size+int64(len(text)), last
	return nil
}

func (l *Log) takeBack(cause error) error {
	err := l.file.Truncate(l.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		cause = errors.Join(cause, err, l.file.Close())
		l.file = nil
	}
	return fmt.Errorf("audit: the entry could not be written: %w", cause)
}

// nextFile begins a new file. Where that fails the old one stays, and the next entry tries again.
func (l *Log) nextFile() error {
	full := l.file
	if err := l.openFile(l.number + 1); err != nil {
		return fmt.Errorf("audit: a new file cannot be begun: %w", err)
	}
	_ = full.Close() // all of it is on the disk
	return nil
}

func (l *Log) closeFiles() error {
	var err error
	if l.file != nil {
		err = l.file.Close()
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

func syncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(ignoreUnsupported(opened.Sync()), opened.Close())
}
