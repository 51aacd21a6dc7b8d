package pkcs11

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"
)

// stamp tells one state of a file from another; the zero stamp is of one that is not there.
type stamp struct {
	at   time.Time
	size int64
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

// checkModule says what is wrong with a module's file, without loading it: whatever is in a library runs when it is loaded.
func checkModule(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("module %s is not there; install the vendor's library, or correct the path", path)
	case err != nil:
		return fmt.Errorf("module %s: %w", path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("module %s is no file; name the vendor's library itself", path)
	case runtime.GOOS != "linux":
		return nil
	}
	library, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("module %s cannot be read as a library: %w", path, err)
	}
	defer func() { _ = library.Close() }()
	if library.Type != elf.ET_DYN {
		return fmt.Errorf("module %s is no shared library", path)
	}
	return nil
}
