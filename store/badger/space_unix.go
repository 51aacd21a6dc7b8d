//go:build linux || darwin || freebsd

package badger

import "golang.org/x/sys/unix"

// freeBytes returns how much an unprivileged process may still write to the disk of a directory.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	// The types of these fields differ between systems. On FreeBSD Bavail is negative when only root's reserve is left.
	return uint64(max(int64(st.Bavail), 0)) * uint64(st.Bsize), nil //nolint:gosec,unconvert // see above
}
