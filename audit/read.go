package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The limits of an entry in bytes: its data, and its line. A batch of 250 items takes about 30 KB.
const (
	maxData = 1 << 20
	maxLine = maxData + 4096
)

const (
	filePrefix = "audit-"
	fileSuffix = ".jsonl"
)

func fileName(number int) string { return fmt.Sprintf("%s%06d%s", filePrefix, number, fileSuffix) }

// fileNames returns the log's files in order. The first may have a number above 1, as files are removed from the front.
func fileNames(dir string) (first int, names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, nil, err
	}
	var numbers []int
	for _, entry := range entries {
		middle, isOurs := strings.CutPrefix(entry.Name(), filePrefix)
		middle, isFile := strings.CutSuffix(middle, fileSuffix)
		if number, err := strconv.Atoi(middle); isOurs && isFile && err == nil && fileName(number) == entry.Name() {
			numbers = append(numbers, number)
		}
	}
	if len(numbers) == 0 {
		return 1, nil, nil
	}
	slices.Sort(numbers)
	for i, number := range numbers {
		if number != numbers[0]+i {
			return 0, nil, fmt.Errorf("%s is missing, so the log is incomplete", fileName(numbers[0]+i))
		}
		names = append(names, fileName(number))
	}
	return numbers[0], names, nil
}

// Read calls each with every entry of a log, in order, after checking its hash and link. An incomplete last line, which
// was never acknowledged, is skipped. Read judges neither heads nor missing earlier files: Verify does.
func Read(dir string, each func(Entry) error) error {
	_, err := read(dir, each)
	return err
}

// origin is what a read found besides the entries.
type origin struct {
	before Entry // what precedes the first entry: only Seq and Hash; zero if the log is whole
	torn   int   // bytes of an incomplete last line
}

func read(dir string, each func(Entry) error) (found origin, err error) {
	first, names, err := fileNames(dir)
	if err != nil {
		return found, err
	}
	var last Entry
	begun := first == 1 // otherwise the first entry tells what was before it
	for i, name := range names {
		err := readLines(filepath.Join(dir, name), func(line []byte, complete bool) error {
			if !complete && i == len(names)-1 {
				found.torn = len(line)
				return nil
			}
			e, err := parse(line)
			if err != nil {
				return err
			}
			if !begun {
				found.before, begun = Entry{Seq: e.Seq - 1, Hash: e.Prev}, true
				last = found.before
			}
			if err := e.follows(last); err != nil {
				return err
			}
			last = e
			return each(e)
		})
		if err != nil {
			return found, fmt.Errorf("%s: %w", name, err)
		}
	}
	return found, nil
}

// readLines calls each with every line of a file, and whether it ends in a newline.
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

// errEnough ends a read early.
var errEnough = errors.New("enough was read")

// anyLine reports whether asked returns true for any complete line of a file.
func anyLine(path string, asked func(line []byte) bool) (found bool, err error) {
	err = readLines(path, func(line []byte, complete bool) error {
		if found = complete && asked(line); found {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// Place tells where an entry number is relative to a log.
type Place int

// The places.
const (
	Removed Place = iota // before the first entry on disk
	There
	Beyond // after the last entry
)

// Find looks up the entry with a number. It may be called while the log is being written.
func Find(dir string, number uint64) (Entry, Place, error) {
	_, names, err := fileNames(dir)
	if err != nil {
		return Entry{}, Beyond, err
	}
	for i := len(names) - 1; i >= 0; i-- {
		path := filepath.Join(dir, names[i])
		first, found, err := firstEntry(path)
		if err != nil {
			return Entry{}, Beyond, fmt.Errorf("%s: %w", names[i], err)
		}
		if found && first.Seq <= number {
			return findIn(path, number)
		}
		if i == 0 && found {
			return Entry{}, Removed, nil
		}
	}
	return Entry{}, Beyond, nil
}

func findIn(path string, number uint64) (found Entry, place Place, err error) {
	mark := []byte(`{"seq":` + strconv.FormatUint(number, 10) + `,`)
	place = Beyond
	_, err = anyLine(path, func(line []byte) bool {
		if !bytes.HasPrefix(line, mark) {
			return false
		}
		e, wrong := parse(line)
		if wrong == nil {
			found, place = e, There
		}
		return wrong == nil
	})
	return found, place, err
}

// firstEntry reads the first entry of a file. found is false if it has no complete one.
func firstEntry(path string) (first Entry, found bool, err error) {
	var wrong error
	found, err = anyLine(path, func(line []byte) bool {
		first, wrong = parse(line)
		return true
	})
	return first, found, errors.Join(err, wrong)
}
