package command_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const unitCaddyfile = `{
` + gateway.Options + `	countersign {
		environment int
		client acme {
			key acme-1 %[1]s
			callback http://localhost:9/signed
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /main/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/main
			access open
			mock https://localhost:1 {
				` + gateway.MutualTLS + `			}
			certificates {
				trust_pool file %[2]s
			}
		}
	}
}
`

// installation is a machine on which the packaged unit is installed, below a directory in the place of /etc and
// /var/lib. Its gateway runs as a user of its own, as systemd would have it, and everything else as whoever runs the test.
type installation struct {
	*gateway.Gateway // which was there before, and has the ports
	top              string
	binary           string
	uid              int // of the gateway's user
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	top := t.TempDir()
	key, issuer := gateway.NewKey(t, 4096), filepath.Join(gateway.Root(t), "caddymodule", "testdata", "level-1d.pem")
	in := &installation{top: top, binary: gateway.Binary(t), uid: os.Geteuid(), Gateway: gateway.Start(t, fmt.Sprintf(unitCaddyfile, key.Public, issuer))}
	acme := gateway.System{Base: in.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: key, Sub: person}
	acme.Accepted(t, acme.Post(t, acme.JWT(t, "RS256", gateway.Payloads("RS256", 3)...), ""))

	unit, err := os.ReadFile(filepath.Join(gateway.Root(t), "packaging", "countersign.service"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("%S", in.path("state"), "%E", in.path("etc")).Replace(string(unit))
	config, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(in.Data(""))), "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	ours := string(config)
	for name, from := range map[string]string{"acme.pem": key.Public, "issuer.pem": issuer} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		in.write(t, "etc/countersign/"+name, string(content))
		ours = strings.ReplaceAll(ours, from, in.path("etc/countersign/"+name))
	}
	for name, content := range map[string]string{
		"units/countersign.service": text, "no-units/none": "", "home/none": "", "elsewhere/none": "", "state/none": "",
		"etc/countersign/Caddyfile": ours,
	} {
		in.write(t, name, content)
	}
	if in.uid == 0 { // the user that systemd makes
		in.uid = 64900
		in.binary = in.path("countersign")
		if _, err := gateway.Run(nil, "cp", gateway.Binary(t), in.binary); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(top), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

func (in *installation) path(name string) string { return filepath.Join(in.top, name) }

func (in *installation) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(in.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in.path(name), []byte(content), 0o644); err != nil { //nolint:gosec // for the gateway's user too
		t.Fatal(err)
	}
}

// ran says how a command is run: as which user, and with what in its environment beside HOME.
type ran struct {
	uid int // 0: as whoever runs the test
	env []string
}

func (in *installation) command(how ran, words ...string) *exec.Cmd {
	name := in.binary
	if how.uid != 0 && how.uid != os.Geteuid() {
		id := strconv.Itoa(how.uid)
		words = append([]string{"--reuid", id, "--regid", id, "--clear-groups", name}, words...)
		name = "setpriv"
	}
	cmd := exec.Command(name, words...)
	cmd.Dir = in.path("home")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + in.path("home"), "SYSTEMD_UNIT_PATH=" + in.path("units"), "CADDY_ADMIN=127.0.0.1:" + in.Port("ADMIN")}, how.env...)
	return cmd
}

func (in *installation) run(t *testing.T, how ran, words ...string) said {
	t.Helper()
	return finish(t, in.command(how, append([]string{"countersign"}, words...)...))
}

// start starts the gateway as the unit does, and waits until it is ready.
func (in *installation) start(t *testing.T) *gateway.Process {
	t.Helper()
	home := in.path("state/countersign")
	process := gateway.Launch(t, in.command(ran{in.uid, []string{"HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_CONFIG_HOME=" + home}},
		"run", "--config", in.path("etc/countersign/Caddyfile")))
	process.Await("readiness", 3*time.Minute, func() error {
		response, err := http.Get("http://127.0.0.1:" + in.Port("ADMIN") + "/countersign/ready")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("/countersign/ready is answered %s", response.Status)
		}
		return nil
	})
	return process
}

// sessions are the ids of those that the running gateway knows.
func (in *installation) sessions(t *testing.T) (ids []string) {
	t.Helper()
	var listed struct{ Sessions []struct{ ID string } }
	in.run(t, ran{}, "sessions", "--json").json(t, &listed)
	for _, session := range listed.Sessions {
		ids = append(ids, session.ID)
	}
	return ids
}

// mustBelong holds everything below a directory to the gateway's user.
func (in *installation) mustBelong(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != in.uid {
			t.Errorf("%s belongs to user %d, want %d", path, got, in.uid)
		}
		return nil
	})
	if err != nil || files < 2 {
		t.Errorf("looking through %s: %d files, %v", dir, files, err)
	}
}

// mustBeEmpty holds the home of whoever calls to having got nothing.
func (in *installation) mustBeEmpty(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		entries, err := os.ReadDir(in.path(dir))
		if err != nil || len(entries) != 1 {
			t.Errorf("%s holds %v, %v; want that nothing was made in it", dir, entries, err)
		}
	}
}

// TestStoreOfTheUnit restores on a machine where the packaged unit is installed: the store is the gateway's, whoever
// restores it, and nothing is restored to where no gateway would look.
func TestStoreOfTheUnit(t *testing.T) {
	in := newInstallation(t)
	before := in.sessions(t)
	if len(before) != 1 {
		t.Fatalf("got the sessions %q, want one", before)
	}
	backup, config := in.path("day.backup"), in.path("etc/countersign/Caddyfile")
	in.run(t, ran{}, "store", "backup", backup).must(t, 0, "from the store badger "+in.Data("countersign/store"))
	in.Stop()
	if err := os.Chmod(backup, 0o644); err != nil { //nolint:gosec // so that either user can restore it
		t.Fatal(err)
	}

	noUnit := ran{env: []string{"SYSTEMD_UNIT_PATH=" + in.path("no-units")}}
	in.run(t, noUnit, "store", "restore", backup).must(t, 1, "no configuration names a store", "--config", "--unit", "--dir")
	in.run(t, noUnit, "store", "restore", "--config", config, backup).
		must(t, 1, "no configuration names the directory of the store", in.path("home/.local/share/caddy"), "--unit", "XDG_DATA_HOME", "--dir")
	in.write(t, "home/other.caddyfile", "{\n\tcountersign {\n\t\tenvironment int\n\t\tstore badger relative/store\n\t}\n}\n")
	in.run(t, ran{}, "store", "restore", "--config", in.path("home/other.caddyfile"), backup).
		must(t, 1, "the path relative/store depends on where the gateway is started", "countersign.service is installed here and runs with "+config)
	if err := os.Remove(in.path("home/other.caddyfile")); err != nil {
		t.Fatal(err)
	}
	in.run(t, ran{env: []string{"XDG_DATA_HOME=" + in.path("elsewhere")}}, "store", "restore", "--config", config, backup).
		must(t, 1, "XDG_DATA_HOME is "+in.path("elsewhere"), "countersign.service keeps its data in "+in.path("state/countersign/caddy"))
	in.run(t, noUnit, "audit", "verify", "--config", config).must(t, 1, "no configuration names the directory of the audit log", "--dir")
	in.run(t, noUnit, "store", "check", "--dir", in.path("elsewhere/store")).must(t, 1, "there is no store in "+in.path("elsewhere/store"))
	in.mustBeEmpty(t, "home", "elsewhere")

	// systemd has made the directory for the gateway's user.
	state := in.path("state/countersign")
	store, log := in.path("state/countersign/caddy/countersign/store"), in.path("state/countersign/caddy/countersign/audit")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(state, in.uid, in.uid); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		in.run(t, ran{uid: in.uid + 1}, "store", "restore", "--config", config, backup).must(t, 1, "run the command as root, or as the user")
	}
	for _, as := range []struct {
		who  ran
		args []string // how the configuration is found
	}{
		{ran{uid: in.uid}, []string{"--config", config}},
		{ran{}, []string{"--unit", "countersign"}},
		{ran{}, nil}, // there is but one
	} {
		words := append(append([]string{"store", "restore"}, as.args...), backup)
		in.run(t, as.who, words...).must(t, 0, "into the store badger "+store)
		in.mustBelong(t, state)
		process := in.start(t)
		if got := in.sessions(t); strings.Join(got, " ") != strings.Join(before, " ") {
			t.Errorf("%v: got the sessions %q after the restore, want %q", words, got, before)
		}
		process.Stop()
		in.run(t, ran{}, append([]string{"store", "check"}, as.args...)...).must(t, 0, "The store in "+store+" is whole")
		in.run(t, ran{}, append([]string{"audit", "verify"}, as.args...)...).
			must(t, 0, "in "+log, "Trusted keys: countersign/keys/own.json in "+filepath.Join(state, "caddy"))
		in.run(t, ran{}, append([]string{"audit", "head"}, as.args...)...).must(t, 0, "Of the log in "+log)
		in.mustBelong(t, state)
		if err := os.Rename(store, store+"-before-"+strconv.Itoa(len(as.args))+strconv.Itoa(as.who.uid)); err != nil {
			t.Fatal(err)
		}
	}
	in.mustBeEmpty(t, "home", "elsewhere")
}
