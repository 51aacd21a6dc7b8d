package systemd_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/caddymodule/command/systemd"
)

// install writes files below a directory of units.
func install(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, name string, dirs ...string) *systemd.Unit {
	t.Helper()
	unit, err := systemd.Load(name, dirs)
	if err != nil {
		t.Fatal(err)
	}
	return unit
}

func environment(t *testing.T, unit *systemd.Unit) map[string]string {
	t.Helper()
	got, err := unit.Environment()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestPackagedUnit reads the unit that is shipped.
func TestPackagedUnit(t *testing.T) {
	unit := load(t, "countersign", "../../../packaging")
	want := map[string]string{"HOME": "/var/lib/countersign", "XDG_DATA_HOME": "/var/lib/countersign", "XDG_CONFIG_HOME": "/var/lib/countersign"}
	if got := environment(t, unit); !maps.Equal(got, want) {
		t.Errorf("got the environment %v, want %v", got, want)
	}
	command, err := unit.Command()
	if got, want := strings.Join(command, " "), "/usr/local/bin/countersign run --config /etc/countersign/Caddyfile"; err != nil || got != want {
		t.Errorf("got the command %q, %v, want %q", got, err, want)
	}
	states, err := unit.StateDirectories()
	if err != nil || !slices.Equal(states, []string{"/var/lib/countersign"}) {
		t.Errorf("got the state directories %q, %v", states, err)
	}
	if dir, err := unit.WorkingDirectory(); err != nil || dir != "/etc/countersign" {
		t.Errorf("got the working directory %q, %v", dir, err)
	}
	if user, err := unit.User(); err != nil || user != "" || !unit.Dynamic() {
		t.Errorf("got the user %q, %v, dynamic: %t, want one that systemd makes", user, err, unit.Dynamic())
	}
}

// TestDropIns changes a unit as systemd lets an administrator change it.
func TestDropIns(t *testing.T) {
	etc, lib := t.TempDir(), t.TempDir()
	install(t, lib, map[string]string{
		"gw.service":             "[Unit]\nEnvironment=NOT=this\n[Service]\nEnvironment=A=1 \"B=two words\" C=%%h\nEnvironment=A=2\nExecStart=-/bin/caddy run \\\n# between\n  --config /a\nUser=caddy\n",
		"gw.service.d/10.conf":   "[Service]\nEnvironment=\nEnvironment=FROM=lib10\nUser=\nDynamicUser=true\n",
		"gw.service.d/20.conf":   "[Service]\nEnvironment=OVER=lib\n",
		"service.d/15-all.conf":  "[Service]\nEnvironment=ALL=1\nStateDirectory=gw/a:link gw-b\n",
		"gw.service.d/30.ignore": "[Service]\nEnvironment=IGNORED=1\n",
	})
	files := filepath.Join(etc, "environment")
	install(t, etc, map[string]string{
		"gw.service.d/20.conf": "[Service]\nEnvironment=OVER=etc\nEnvironmentFile=" + files + "\nEnvironmentFile=-/not/there\nWorkingDirectory=-/srv\n",
		"environment":          "# a comment\nFILE='in quotes'\nFROM=file\n",
	})
	unit := load(t, "gw.service", etc, lib)
	want := map[string]string{"FROM": "file", "ALL": "1", "OVER": "etc", "FILE": "in quotes"}
	if got := environment(t, unit); !maps.Equal(got, want) {
		t.Errorf("got the environment %v, want %v", got, want)
	}
	command, err := unit.Command()
	if err != nil || !slices.Equal(command, []string{"/bin/caddy", "run", "--config", "/a"}) {
		t.Errorf("got the command %q, %v", command, err)
	}
	states, err := unit.StateDirectories()
	if err != nil || !slices.Equal(states, []string{"/var/lib/gw/a", "/var/lib/gw-b"}) {
		t.Errorf("got the state directories %q, %v", states, err)
	}
	if user, err := unit.User(); err != nil || user != "" || !unit.Dynamic() {
		t.Errorf("got the user %q, %v, dynamic %t, want the drop-in's", user, err, unit.Dynamic())
	}
	if dir, err := unit.WorkingDirectory(); err != nil || dir != "/srv" {
		t.Errorf("got the working directory %q, %v, want /srv", dir, err)
	}
}

// TestFirstDirectoryCounts has a unit of the administrator's in the place of a package's, and one that is masked.
func TestFirstDirectoryCounts(t *testing.T) {
	etc, lib := t.TempDir(), t.TempDir()
	install(t, lib, map[string]string{
		"a.service": "[Service]\nUser=lib\n", "b.service": "[Service]\nUser=lib\n", "t@.service": "[Service]\nEnvironment=I=%i P=%p N=%N n=%n\n",
	})
	install(t, etc, map[string]string{"a.service": "[Service]\nUser=etc\n", "b.service": "", "not-a-unit": ""})
	if user, err := load(t, "a", etc, lib).User(); err != nil || user != "etc" {
		t.Errorf("got the user %q, %v, want etc", user, err)
	}
	for _, name := range []string{"b", "c", "../a"} {
		if _, err := systemd.Load(name, []string{etc, lib}); err == nil || name != "../a" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("loading %s: got %v, want that it does not exist", name, err)
		}
	}
	want := map[string]string{"I": "x-1", "P": "t", "N": "t@x-1", "n": "t@x-1.service"}
	if got := environment(t, load(t, "t@x-1", etc, lib)); !maps.Equal(got, want) {
		t.Errorf("got the environment %v of an instance, want %v", got, want)
	}
	if got := systemd.Services([]string{etc, lib}); !slices.Equal(got, []string{"a.service", "b.service"}) {
		t.Errorf("got the services %q", got)
	}
}

// TestNothingIsGuessed holds what cannot be read to an error.
func TestNothingIsGuessed(t *testing.T) {
	for text, want := range map[string]string{
		"Environment=A=%q":                         "%q in",
		"Environment=A=100%":                       "a lone %",
		"Environment=\"A=1":                        "not closed",
		"EnvironmentFile=/not/there":               "EnvironmentFile",
		"Environment=A=1\nEnvironmentFile=/%q/env": "%q in",
	} {
		dir := t.TempDir()
		install(t, dir, map[string]string{"a.service": "[Service]\n" + text + "\n"})
		if got, err := load(t, "a", dir).Environment(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

// TestDirectories is where units are looked for.
func TestDirectories(t *testing.T) {
	t.Setenv("SYSTEMD_UNIT_PATH", "")
	usual := systemd.Directories()
	if !slices.Contains(usual, "/etc/systemd/system") || !slices.Contains(usual, "/usr/lib/systemd/system") {
		t.Errorf("got %q", usual)
	}
	t.Setenv("SYSTEMD_UNIT_PATH", "/a:/b")
	if got := systemd.Directories(); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("got %q, want /a and /b", got)
	}
	t.Setenv("SYSTEMD_UNIT_PATH", "/a:")
	if got := systemd.Directories(); !slices.Equal(got, append([]string{"/a"}, usual...)) {
		t.Errorf("got %q, want /a before the usual ones", got)
	}
}

// FuzzUnit holds the reader to its bounds with any text.
func FuzzUnit(f *testing.F) {
	packaged, err := os.ReadFile("../../../packaging/countersign.service")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(packaged))
	f.Add("[Service]\nEnvironment=\\\n\"a\nExecStart=@\\")
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		install(t, dir, map[string]string{"a.service": strings.ReplaceAll(text, "EnvironmentFile", "X")})
		unit, err := systemd.Load("a", []string{dir})
		if err != nil {
			return
		}
		got, err := unit.Environment()
		if err != nil && got != nil {
			t.Errorf("got %v together with %v", got, err)
		}
		_, _ = unit.Command()
		_, _ = unit.StateDirectories()
		_, _ = unit.WorkingDirectory()
	})
}
