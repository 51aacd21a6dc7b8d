package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSum(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"TestA"}`
	const end = `{"Action":"pass","Package":"p","Elapsed":1}`
	for name, c := range map[string]struct {
		lines []string
		good  bool
		tells string
	}{
		"passed":       {[]string{pass, end}, true, "1 passed, 0 failed, 0 skipped"},
		"failed":       {[]string{pass, `{"Action":"output","Package":"p","Test":"TestB","Output":"why\n"}`, `{"Action":"fail","Package":"p","Test":"TestB"}`, `{"Action":"fail","Package":"p"}`}, false, "why"},
		"skipped":      {[]string{pass, `{"Action":"skip","Package":"p","Test":"TestB"}`, end}, false, "skip  p TestB"},
		"no tests":     {[]string{`{"Action":"skip","Package":"p"}`}, false, "0 passed"},
		"no test file": {[]string{pass, end, `{"Action":"skip","Package":"q"}`}, true, "1 passed"},
		"build failed": {[]string{pass, end, `{"ImportPath":"q","Action":"build-output","Output":"undefined: x\n"}`, `{"Action":"fail","Package":"q","FailedBuild":"q"}`}, false, "undefined: x"},
		"a panic":      {[]string{pass, `{"Action":"output","Package":"p","Test":"TestB","Output":"panic: oh\n"}`, `{"Action":"fail","Package":"p"}`}, false, "panic: oh"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := tally{out: &out, output: map[string][]string{}}
			if err := s.read(strings.NewReader(strings.Join(c.lines, "\n"))); err != nil {
				t.Fatal(err)
			}
			if good := s.sum(); good != c.good || !strings.Contains(out.String(), c.tells) {
				t.Errorf("good = %v, want %v; it should tell %q and said:\n%s", good, c.good, c.tells, &out)
			}
		})
	}
}
