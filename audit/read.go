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

// Bounds of an entry in bytes: its data, and its line. A batch of 250 items takes some 30 KB.
const (
	maxData = 1 << 20
	maxLine = maxData + 4096
)

const (
	filePrefix = "audit-"
	fileSuffix = ".jsonl"
)

func fileName(number int) string { return fmt.Sprintf("%s%06d%s", filePrefix, number, fileSuffix) }

// fileNames returns the log's files in order. The first need not be number 1: files are removed from the front.
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
			return 0, nil, fmt.Errorf("%s is missing: the log is not whole", fileName(numbers[0]+i))
		}
		names = append(names, fileName(number))
	}
	return numbers[0], names, nil
}

// Read calls back with each entry of a log, in order, after it has checked hash and link. A torn last line, which
// was never acknowledged, is passed over. It judges neither heads nor whether earlier files are missing: Verify does.
func Read(dir string, each func(Entry) error) error {
	_, err := read(dir, each)
	return err
}

// origin is what a reading found beside the entries.
type origin struct {
	before Entry // what stands before the first entry: only Seq and Hash; zero where the log is whole
	torn   int   // bytes of a torn last line
}

func read(dir string, each func(Entry) error) (found origin, err error) {
	first, names, err := fileNames(dir)
	if err != nil {
		return found, err
	}
	var last Entry
	begun := first == 1 // else the first entry says what stood before it
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

// errEnough ends a reading early.
var errEnough = errors.New("enough was read")

// anyLine says whether one of the whole lines of a file is as asked.
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

// Place is where a number stands in a log.
type Place int

// The places.
const (
	Removed Place = iota // before the first entry that is there
	There
	Beyond // behind the last one
)

// Find looks for the entry with a number. It may be called while the log is written.
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

// firstEntry reads the first entry of a file; found is false where there is none that is whole.
func firstEntry(path string) (first Entry, found bool, err error) {
	var wrong error
	found, err = anyLine(path, func(line []byte) bool {
		first, wrong = parse(line)
		return true
	})
	return first, found, errors.Join(err, wrong)
}
