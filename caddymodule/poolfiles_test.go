package caddymodule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPoolFiles: Caddy skips what it cannot read of a trust pool, and says nothing.
func TestPoolFiles(t *testing.T) {
	root, err := os.ReadFile("testdata/root.pem")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pool.pem")
	pool, err := json.Marshal(map[string]any{"provider": "file", "pem_files": []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"good":          {string(root), ""},
		"explained":     {"# the root\n" + string(root) + "\n# and no more\n", ""},
		"mark":          {"\xef\xbb\xbf" + string(root), "byte order mark"},
		"commented out": {string(root) + "# " + string(root), "line "},
		"cut off":       {string(root) + string(root[:len(root)/2]), "line "},
		"a key in it":   {string(root) + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PRIVATE KEY"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := CheckPoolFiles(pool)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if err := CheckPoolFiles(json.RawMessage(`{"provider":"file","pem_files":["not there"]}`)); err != nil {
		t.Errorf("a file that is not there: got %v, want it left to Caddy", err)
	}
}
