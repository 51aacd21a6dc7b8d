package reload_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestValidateBesideARunningGateway validates the running gateway's own configuration, with its store and its data
// directory, and one that names a key set and a store which are not there: no store is opened, nothing is fetched and
// nothing is made.
func TestValidateBesideARunningGateway(t *testing.T) {
	r := start(t)
	var fetched atomic.Int32
	keys := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer keys.Close()

	fresh := filepath.Join(t.TempDir(), "store")
	for name, s := range map[string]site{
		"its own configuration":   {store: r.dir},
		"a store that is not yet": {store: fresh, key: "jwks " + strings.Replace(keys.URL, "127.0.0.1", "localhost", 1) + "/keys.json"},
	} {
		config := strings.NewReplacer("{$PORT_GATEWAY}", r.Port("GATEWAY"), "{$PORT_AGENT}", r.Port("AGENT")).Replace(s.caddyfile())
		before := listing(t, r.dir)
		said, err := caddy(t, filepath.Dir(filepath.Dir(r.Data("x"))), config, "validate")
		if err != nil || !strings.Contains(said, "Valid configuration") {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
		if after := listing(t, r.dir); after != before {
			t.Errorf("%s: the running store was %s and is %s", name, before, after)
		}
	}
	if n := fetched.Load(); n > 0 {
		t.Errorf("validation asked for a key set %d times", n)
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("validation made a store: %v", err)
	}
	r.goesOn(t)
}

// listing is the names and sizes in a directory.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, entry.Name()+" "+info.ModTime().String())
	}
	return strings.Join(names, ", ")
}
