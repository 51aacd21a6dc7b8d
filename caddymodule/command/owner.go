package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-dd2befc3/countersign/caddymodule/command/systemd"
)

// owner is the user, and the group, whom a gateway runs as and who has to own its files.
type owner struct{ uid, gid int }

// ownership keeps files that a command makes in the hands of the gateway's user, whoever runs it.
type ownership struct {
	dir    string // of the store
	owner  owner
	base   string          // the nearest directory that was there before
	beside map[string]bool // the names beside the store that were there before
}

// ownershipOf finds out who has to own what is made in a directory. A user who is neither that one nor root is refused:
// the gateway could not read the files.
func ownershipOf(dir string, p *place) (*ownership, error) {
	o := &ownership{dir: dir, base: dir, beside: map[string]bool{}}
	for {
		info, err := os.Stat(o.base)
		if err == nil && info.IsDir() {
			break
		}
		if err == nil {
			return nil, fmt.Errorf("%s is a file, not a directory", o.base)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, mayNot(err)
		}
		if filepath.Dir(o.base) == o.base {
			return nil, err
		}
		o.base = filepath.Dir(o.base)
	}
	entries, _ := os.ReadDir(filepath.Dir(dir)) // it may not be there yet
	for _, e := range entries {
		o.beside[e.Name()] = true
	}
	var err error
	if o.owner, err = o.find(p); err != nil {
		return nil, err
	}
	if me := os.Geteuid(); canOwn && me != 0 && me != o.owner.uid {
		return nil, fmt.Errorf("%s is for user %d, whom the gateway runs as, and this is user %d: run the command as root, or as that user (setpriv --reuid %d --regid %d --clear-groups)",
			dir, o.owner.uid, me, o.owner.uid, o.owner.gid)
	}
	return o, nil
}

// find goes by the unit's user. Where systemd makes a user, and where there is no unit, it goes by who owns the
// directory that holds the gateway's data.
func (o *ownership) find(p *place) (owner, error) {
	me := owner{os.Geteuid(), os.Getegid()}
	if !canOwn {
		return me, nil
	}
	var tops []string
	if p != nil {
		tops = []string{p.data, filepath.Dir(p.data)}
	}
	if p != nil && p.runBy != nil {
		if !p.runBy.Dynamic() {
			return ownerOfUnit(p.runBy)
		}
		states, err := p.runBy.StateDirectories()
		if err != nil {
			return owner{}, err
		}
		for _, state := range states {
			if !below(o.dir, state) {
				continue
			}
			if _, err := os.Stat(state); errors.Is(err, fs.ErrNotExist) {
				return owner{}, nil // root's: systemd gives all of it to the service when it starts for the first time
			}
			tops = []string{state} // whose owner is the only one that systemd looks at
		}
	}
	for _, top := range append(tops, o.dir) {
		if by, err := ownerOf(top); err == nil && below(o.dir, top) {
			return by, nil
		}
	}
	if by, err := ownerOf(filepath.Dir(o.dir)); err == nil && by.uid != 0 {
		return by, nil
	}
	if me.uid != 0 {
		return me, nil
	}
	return owner{}, fmt.Errorf("nothing says whom the gateway runs as, and root would own what is made in %[1]s: make the directory first, as install -d -m 700 -o USER -g GROUP %[1]s", o.dir)
}

// below says whether a path is a directory or is in it, by their names.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func ownerOfUnit(unit *systemd.Unit) (owner, error) {
	name, err := unit.User()
	if err != nil || name == "" {
		return owner{}, err
	}
	account, err := lookUp(name)
	if err != nil {
		return owner{}, fmt.Errorf("the user of %s: %w", unit.Name, err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return owner{}, err
	}
	gid, err := strconv.Atoi(account.Gid)
	return owner{uid, gid}, err
}

// settle gives what root has made to the gateway's user: the store, the directories above it that were missing, and
// what was put beside it. What others own it leaves alone.
func (o *ownership) settle() error {
	if !canOwn || os.Geteuid() != 0 || o.owner.uid == 0 {
		return nil
	}
	root, err := os.OpenRoot(o.base) // links in it lead nowhere else
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for dir := filepath.Dir(o.dir); dir != o.base && below(dir, o.base); dir = filepath.Dir(dir) {
		if err := o.give(root, dir); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Dir(o.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was made
	}
	for _, e := range entries {
		if err == nil && (e.Name() == filepath.Base(o.dir) || !o.beside[e.Name()]) {
			err = o.giveAll(filepath.Join(filepath.Dir(o.dir), e.Name()))
		}
	}
	return err
}

// giveAll gives a file, or a directory with all that is in it.
func (o *ownership) giveAll(path string) error {
	in, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return fs.WalkDir(in.FS(), filepath.Base(path), func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return giveOne(in, name, o.owner)
	})
}

// give gives one directory below base.
func (o *ownership) give(base *os.Root, dir string) error {
	name, err := filepath.Rel(o.base, dir)
	if err != nil {
		return err
	}
	if err = giveOne(base, name, o.owner); errors.Is(err, fs.ErrNotExist) {
		return nil // what was to be made there was not
	}
	return err
}

// mayNot says what to do about a lack of permission.
func mayNot(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run the command as root, or as the user whom the gateway runs as", err)
	}
	return err
}
