package command_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestStore is an operator's bad day: a backup made in time, a store that is lost, and one that is damaged.
func TestStore(t *testing.T) {
	d := newDesk(t)
	files := []string{d.write(t, "a.txt", []byte("letter a")), d.write(t, "b.txt", []byte("letter b"))}
	d.run(t, append(d.signing("first.json", "--mock"), files...)...).must(t, 0, "Everything holds")
	acme := gateway.System{Base: d.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: d.key, Sub: person}
	jwt := acme.JWT(t, "RS256", gateway.Payloads("RS256", 3)...)
	token := acme.Accepted(t, acme.Post(t, jwt, "")).Token

	home := filepath.Dir(filepath.Dir(d.Data(""))) // of the gateway
	config, dir := filepath.Join(home, "Caddyfile"), d.Data("countersign/store")
	offline := func(args ...string) said {
		t.Helper()
		cmd := d.command(t, append([]string{"store"}, args...)...)
		cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+filepath.Join(home, "data"))
		return finish(t, cmd)
	}

	d.run(t, "store", "backup", "day.backup").must(t, 0, "records, as of")
	d.run(t, "store", "backup", "day.backup").must(t, 1, "exists")
	mustBePrivate(t, d.path("day.backup"))
	offline("restore", "--config", config, d.path("day.backup")).must(t, 1, "in use by another process")
	offline("repair", "--config", config).must(t, 1, "in use")
	offline("check", "--config", config).must(t, 1, "in use")

	d.Stop()
	offline("check", "--config", config).must(t, 0, "is whole")
	offline("restore", "--config", config, d.path("day.backup")).must(t, 1, "not empty", "aside")
	if err := os.Rename(dir, dir+"-lost"); err != nil {
		t.Fatal(err)
	}
	offline("check", "--config", config).must(t, 1, "there is no store in "+dir)
	cut, err := os.ReadFile(d.path("day.backup"))
	if err != nil {
		t.Fatal(err)
	}
	offline("restore", "--config", config, d.write(t, "cut.backup", cut[:len(cut)-20])).must(t, 1, "not a backup that can be restored")
	offline("restore", "--config", config, d.path("day.backup")).must(t, 0, "Restored from")
	d.Restart()
	if again := acme.Accepted(t, acme.Post(t, jwt, "")).Token; again != token {
		t.Error("after the restore the same request is another session")
	}

	// A good record after one that is damaged.
	d.run(t, append(d.signing("second.json", "--mock"), files...)...).must(t, 0)
	d.run(t, append(d.signing("third.json", "--mock"), files...)...).must(t, 0)
	d.Kill()
	damage(t, dir)
	offline("check", "--config", config).must(t, 1, "followed by good records: DAMAGE", "store restore", "store repair")
	start := exec.Command(gateway.Binary(t), "run", "--config", config)
	start.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+filepath.Join(home, "data"), "XDG_CONFIG_HOME="+filepath.Join(home, "config"),
		"CADDY_ADMIN=127.0.0.1:"+d.Port("ADMIN"))
	finish(t, start).must(t, 1, "damaged", "followed by good records", "caddy countersign store repair")
	offline("repair", "--config", config).must(t, 0, "The damaged log is kept as", "can be opened again")
	offline("check", "--config", config).must(t, 0, "is whole")
	d.Restart()
	d.run(t, append(d.signing("fourth.json", "--mock"), files...)...).must(t, 0, "Everything holds")
}

// mustBePrivate holds a backup to its owner alone, and to no key in it.
func mustBePrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`"key":`)) {
		t.Error("there is no record in the backup")
	}
	for _, secret := range []string{"PRIVATE", `"d":`, "RSA"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the backup holds %q", secret)
		}
	}
}

// damage flips a bit in the middle of what is written in the store's log.
func damage(t *testing.T, dir string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	log := logs[len(logs)-1]
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	b[len(bytes.TrimRight(b, "\x00"))/2] ^= 1
	if err := os.WriteFile(log, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
