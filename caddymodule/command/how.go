package command

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/caddymodule/command/systemd"
)

// how describes how a gateway is started: its configuration, environment and directory.
type how struct {
	file, adapter string
	directory     string
	environment   map[string]string // of a unit
}

// howOf reads it from a unit. The file is empty for a service that does not run Caddy.
func howOf(unit *systemd.Unit) (how, error) {
	words, err := unit.Command()
	if err != nil || len(words) < 2 || words[1] != "run" {
		return how{}, err
	}
	started := how{}
	if started.directory, err = unit.WorkingDirectory(); err != nil {
		return how{}, err
	}
	for i := 2; i < len(words); i++ {
		flag, value, joined := strings.Cut(words[i], "=")
		into := map[string]*string{"--config": &started.file, "-c": &started.file, "--adapter": &started.adapter, "-a": &started.adapter}[flag]
		if into == nil {
			continue
		}
		if !joined && i+1 < len(words) {
			i++
			value = words[i]
		}
		*into = value
	}
	if started.file == "" {
		started.file = "Caddyfile"
	}
	if !filepath.IsAbs(started.file) {
		started.file = filepath.Join(started.directory, started.file)
	}
	return started, nil
}

// startedBy returns how a unit starts the gateway, with the configuration replaced by the one given by a flag.
func (f *placeFlags) startedBy(unit *systemd.Unit) (how, error) {
	started, err := howOf(unit)
	if err != nil {
		return how{}, err
	}
	if started.file == "" {
		return how{}, fmt.Errorf("%s runs no gateway: its command is not caddy run, or countersign run", unit.Name)
	}
	if f.file != "" {
		started.adapter = f.adapter
		if started.file, err = filepath.Abs(f.file); err != nil {
			return how{}, err
		}
	}
	if started.environment, err = environment(unit); err != nil {
		return how{}, err
	}
	return started, started.agrees(unit)
}

// environment returns the unit's environment, with the HOME that systemd sets.
func environment(unit *systemd.Unit) (map[string]string, error) {
	all, err := unit.Environment()
	if err != nil {
		return nil, err
	}
	name, err := unit.User()
	if err != nil {
		return nil, err
	}
	if _, set := all["HOME"]; !set && unit.Dynamic() {
		all["HOME"] = "/"
	} else if !set && name != "" {
		account, err := lookUp(name)
		if err != nil {
			return nil, fmt.Errorf("the user of %s: %w", unit.Name, err)
		}
		all["HOME"] = account.HomeDir
	}
	return all, nil
}

// lookUp finds a user by name or number.
func lookUp(name string) (*user.User, error) {
	account, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		if byNumber, err := user.LookupId(name); err == nil {
			return byNumber, nil
		}
	}
	return account, err
}

// fromUnit are the variables that decide where files are. Only the unit's values count.
var fromUnit = []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"}

// agrees refuses an XDG_DATA_HOME of the command that differs from the unit's.
func (h how) agrees(unit *systemd.Unit) error {
	set := os.Getenv("XDG_DATA_HOME")
	if set == "" {
		return nil
	}
	mine := caddy.AppDataDir()
	back, err := h.enter()
	if err != nil {
		return err
	}
	its := caddy.AppDataDir()
	back()
	if filepath.Clean(mine) == filepath.Clean(its) {
		return nil
	}
	return fmt.Errorf("XDG_DATA_HOME is %s here, but %s keeps its data in %s: unset it (sudo without -E)", set, unit.Name, its)
}

// enter switches this process to the gateway's environment and directory while the configuration is read. Caddy has no
// other way to set the location of its data.
func (h how) enter() (back func(), err error) {
	var undo []func()
	back = func() {
		for _, one := range undo {
			one()
		}
	}
	set := func(name, value string, is bool) error {
		before, was := os.LookupEnv(name)
		undo = append(undo, func() { _ = setOrUnset(name, before, was) })
		return setOrUnset(name, value, is)
	}
	for _, name := range fromUnit {
		if value, is := h.environment[name]; !is {
			err = errors.Join(err, set(name, value, false))
		}
	}
	for name, value := range h.environment {
		err = errors.Join(err, set(name, value, true))
	}
	here, wdErr := os.Getwd()
	if wdErr == nil {
		undo = append(undo, func() { _ = os.Chdir(here) })
	}
	if err = errors.Join(err, os.Chdir(h.directory)); err != nil {
		back()
		return nil, fmt.Errorf("as the gateway is started: %w", err)
	}
	return back, nil
}

func setOrUnset(name, value string, is bool) error {
	if !is {
		return os.Unsetenv(name)
	}
	return os.Setenv(name, value)
}
