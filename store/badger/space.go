package badger

import "fmt"

// DefaultMinFree is what Badger may need for flushing and merging its tables after the last accepted change. Running
// out of disk space then would kill the process (SIGBUS, since Badger writes to mapped files).
const DefaultMinFree = 256 << 20

// space checks the free space on the disk.
type space struct {
	dir  string
	min  uint64
	free func(dir string) (uint64, error)
}

// check takes a microsecond and is called once per transaction.
func (s space) check() error {
	free, err := s.free(s.dir)
	if err != nil {
		return unavailable("reading the free space at %s: %w", s.dir, err)
	}
	if free < s.min {
		return unavailable("the disk of %s has %s free, want at least %s: make room on it", s.dir, mebibytes(free), mebibytes(s.min))
	}
	return nil
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
