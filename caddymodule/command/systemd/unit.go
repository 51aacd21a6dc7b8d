package systemd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	suffix    = ".service"
	stateRoot = "/var/lib" // of StateDirectory=, and %S
)

// Unit is a service as its unit file and drop-ins describe it.
type Unit struct {
	Name string // such as countersign.service
	File string // where it was found

	settings map[string][]string // of [Service], by key, as often as they were given
}

// Directories are where systemd looks for units, the most important first (systemd.unit(5)). SYSTEMD_UNIT_PATH
// replaces them, as for systemd itself.
func Directories() []string {
	usual := []string{
		"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
		"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached",
		"/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
		"/run/systemd/generator.late",
	}
	given := os.Getenv("SYSTEMD_UNIT_PATH")
	if given == "" {
		return usual
	}
	own := slices.DeleteFunc(strings.Split(given, ":"), func(dir string) bool { return dir == "" })
	if strings.HasSuffix(given, ":") {
		return append(own, usual...)
	}
	return own
}

// Services are the names of all services in directories, sorted. Templates without an instance are left out.
func Services(dirs []string) []string {
	found := map[string]bool{}
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir) // most of them do not exist
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), suffix) && !strings.HasSuffix(e.Name(), "@"+suffix) {
				found[e.Name()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Load reads a service by its name, with or without ".service", from the first directory that has it, and its
// drop-ins. The error is fs.ErrNotExist where none has it or it is masked.
func Load(name string, dirs []string) (*Unit, error) {
	if filepath.Ext(name) != suffix {
		name += suffix
	}
	if filepath.Base(name) != name {
		return nil, fmt.Errorf("unit %q must be a name such as countersign%s", name, suffix)
	}
	u := &Unit{Name: name, settings: map[string][]string{}}
	names := []string{name}
	if template := templateOf(name); template != "" {
		names = append(names, template)
	}
	for _, named := range names {
		for _, dir := range dirs {
			text, err := read(filepath.Join(dir, named))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if text == "" { // a link to /dev/null, or a file that is empty: masked
				return nil, fmt.Errorf("unit %s: %w (it is masked)", name, fs.ErrNotExist)
			}
			u.File = filepath.Join(dir, named)
			u.take(text)
			return u, u.dropIns(names, dirs)
		}
	}
	return nil, fmt.Errorf("unit %s: %w", name, fs.ErrNotExist)
}

// templateOf is a@.service for a@b.service, and empty for a.service.
func templateOf(name string) string {
	if before, _, is := strings.Cut(name, "@"); is {
		return before + "@" + suffix
	}
	return ""
}

// dropIns takes the files of countersign.service.d: sorted by their names over all directories, of which the first
// that has a name counts.
func (u *Unit) dropIns(names, dirs []string) error {
	files := map[string]string{}
	for _, named := range append(names[:len(names):len(names)], "service") {
		for _, dir := range dirs {
			below := filepath.Join(dir, named+".d")
			entries, _ := os.ReadDir(below)
			for _, e := range entries {
				if _, is := files[e.Name()]; !is && strings.HasSuffix(e.Name(), ".conf") {
					files[e.Name()] = filepath.Join(below, e.Name())
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text, err := read(files[name])
		if err != nil {
			return err
		}
		u.take(text)
	}
	return nil
}

// take adds what a file says. An empty value takes back what was said before.
func (u *Unit) take(text string) {
	for _, a := range assignments(text) {
		switch {
		case a.section != "Service":
		case a.value == "":
			delete(u.settings, a.key)
		default:
			u.settings[a.key] = append(u.settings[a.key], a.value)
		}
	}
}

func read(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // of the system's own directories
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return string(b), err
}

// last is the value of a setting that can be given once.
func (u *Unit) last(key string) (string, error) {
	values := u.settings[key]
	if len(values) == 0 {
		return "", nil
	}
	return u.expand(values[len(values)-1])
}

// Command is the words of the first ExecStart=, without its special characters in front (systemd.service(5)).
func (u *Unit) Command() ([]string, error) {
	lines := u.settings["ExecStart"]
	if len(lines) == 0 {
		return nil, nil
	}
	line, err := u.expand(lines[0])
	if err != nil {
		return nil, err
	}
	return words(strings.TrimLeft(line, "@-:+!|"))
}

// User is the name or number of the user it runs as; empty for root, or for one that systemd makes.
func (u *Unit) User() (string, error) { return u.last("User") }

// Group is the name or number of the group it runs as; empty for that of the user.
func (u *Unit) Group() (string, error) { return u.last("Group") }

// Dynamic says whether systemd makes a user for it, which exists while it runs and owns its StateDirectory.
func (u *Unit) Dynamic() bool {
	value, _ := u.last("DynamicUser")
	return slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(value))
}

// WorkingDirectory is where it is started: by default the root directory.
func (u *Unit) WorkingDirectory() (string, error) {
	dir, err := u.last("WorkingDirectory")
	switch dir = strings.TrimPrefix(dir, "-"); dir {
	case "":
		return "/", err
	case "~":
		return "", fmt.Errorf("%s: WorkingDirectory=~ is not known here: write the path out", u.File)
	}
	return dir, err
}

// StateDirectories are the directories that systemd makes for it and gives to its user.
func (u *Unit) StateDirectories() ([]string, error) {
	var all []string
	for _, value := range u.settings["StateDirectory"] {
		expanded, err := u.expand(value)
		if err != nil {
			return nil, err
		}
		names, err := words(expanded)
		if err != nil {
			return nil, fmt.Errorf("%s: StateDirectory: %w", u.File, err)
		}
		for _, name := range names {
			name, _, _ = strings.Cut(name, ":") // behind it: a link to it
			all = append(all, filepath.Join(stateRoot, name))
		}
	}
	return all, nil
}

// Environment is what Environment= and EnvironmentFile= set, of which the files come last. What systemd sets by itself,
// such as HOME, is not in it.
func (u *Unit) Environment() (map[string]string, error) {
	all := map[string]string{}
	for _, value := range u.settings["Environment"] {
		pairs, err := words(value)
		if err != nil {
			return nil, fmt.Errorf("%s: Environment: %w", u.File, err)
		}
		for _, pair := range pairs {
			if pair, err = u.expand(pair); err != nil {
				return nil, err
			}
			if name, value, is := strings.Cut(pair, "="); is {
				all[name] = value
			}
		}
	}
	for _, value := range u.settings["EnvironmentFile"] {
		path, err := u.expand(value)
		if err != nil {
			return nil, err
		}
		path, optional := strings.CutPrefix(path, "-")
		text, err := read(path)
		if errors.Is(err, fs.ErrNotExist) && optional {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: EnvironmentFile: %w", u.File, err)
		}
		maps.Copy(all, variables(text))
	}
	return all, nil
}
