package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/seed-dd2befc3/countersign/caddymodule/bars"
	_ "github.com/seed-dd2befc3/countersign/caddymodule/eps"
	_ "github.com/seed-dd2befc3/countersign/caddymodule/mock"
	_ "github.com/seed-dd2befc3/countersign/caddymodule/pkcs11"
	_ "github.com/seed-dd2befc3/countersign/caddymodule/postgres"
	_ "github.com/seed-dd2befc3/countersign/caddymodule/sender"
)

// A golden file holds a Caddyfile, a line of ten dashes, and what comes of it.
const divider = "----------\n"

func golden(t *testing.T, pattern string, check func(t *testing.T, name string, input []byte, want string)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files match %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, found := bytes.Cut(text, []byte(divider))
			if !found {
				t.Fatalf("%s has no line of ten dashes", file)
			}
			check(t, file, input, strings.TrimSpace(string(want)))
		})
	}
}

func adapt(t *testing.T, file string, input []byte) (config []byte, err error) {
	t.Helper()
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(input, map[string]any{"filename": file})
	for _, warning := range warnings {
		if warning.File == file {
			t.Logf("warning: %v", warning)
		}
	}
	return config, err
}

// TestAdapt holds the syntax of every directive and option: either the JSON it becomes, or a part of the error,
// which names file and line.
func TestAdapt(t *testing.T) {
	golden(t, "testdata/adapt/*.caddyfiletest", func(t *testing.T, file string, input []byte, want string) {
		config, err := adapt(t, file, input)
		if !strings.HasPrefix(want, "{") {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("error is %v\nwant one that contains %q", err, want)
			}
			if !strings.Contains(err.Error(), file+":") {
				t.Fatalf("error does not name file and line: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var got, expected any
		if err := json.Unmarshal(config, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &expected); err != nil {
			t.Fatalf("the golden JSON cannot be read: %v", err)
		}
		if !reflect.DeepEqual(got, expected) {
			pretty, _ := json.MarshalIndent(got, "", "\t")
			t.Fatalf("adapted to\n%s", pretty)
		}
		if formatted := caddyfile.Format(input); !bytes.Equal(bytes.TrimSpace(formatted), bytes.TrimSpace(input)) {
			t.Errorf("the golden Caddyfile is not formatted:\n%s", formatted)
		}
	})
}

// TestValidate holds what is refused for its meaning: "valid", or a part of the error, which names the client or
// the site and what to do. Nothing is opened or connected, and the same holds for the JSON.
func TestValidate(t *testing.T) {
	golden(t, "testdata/validate/*.caddyfiletest", func(t *testing.T, file string, input []byte, want string) {
		config, err := adapt(t, file, input)
		if err != nil {
			t.Fatal(err)
		}
		validate(t, config, want)
	})
}

// TestValidateJSON is TestValidate for what only JSON can say, since a Caddyfile's syntax refuses it.
func TestValidateJSON(t *testing.T) {
	golden(t, "testdata/validate/*.jsontest", func(t *testing.T, _ string, input []byte, want string) {
		validate(t, input, want)
	})
}

func validate(t *testing.T, config []byte, want string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	var parsed caddy.Config
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	err := caddy.Validate(&parsed)
	switch {
	case want == "valid" && err != nil:
		t.Fatal(err)
	case want != "valid" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Fatalf("error is %v\nwant one that contains %q", err, want)
	}
	if _, err := os.Stat(filepath.Join(home, "caddy", "countersign")); !os.IsNotExist(err) {
		t.Errorf("validation touched the store: %v", err)
	}
}
