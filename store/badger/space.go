package badger

import "fmt"

// DefaultMinFree is what Badger may need to write after the last change was accepted, to flush and merge its tables.
// A disk that is full by then would kill the process (SIGBUS, since Badger writes to mapped files).
const DefaultMinFree = 256 << 20

// space watches over what is free on the disk.
type space struct {
	dir  string
	min  uint64
	free func(dir string) (uint64, error)
}

// check costs a microsecond, and is asked once for each transaction.
func (s space) check() error {
	free, err := s.free(s.dir)
	if err != nil {
		return unavailable("asking for the free space at %s: %w", s.dir, err)
	}
	if free < s.min {
		return unavailable("the disk of %s has %s free and needs %s: make room on it", s.dir, mebibytes(free), mebibytes(s.min))
	}
	return nil
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
