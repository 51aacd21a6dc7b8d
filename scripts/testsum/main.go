// Command testsum reads the output of `go test -json` and tells what matters: a line for each package, all
// that a failed test or package printed, and how many tests ran. It fails when a test failed, when one was
// skipped (nothing skips silently here), when a package with tests ran none, and when nothing ran at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build event
	Test       string
	Output     string
	Elapsed    float64
}

// tally counts outcomes and keeps what has been printed until it is known whether it matters.
type tally struct {
	out                     io.Writer
	output                  map[string][]string // by package and test
	passed, failed, skipped int
	packages, broken        int
	noted                   []string // what failed or was skipped, for the end
}

func main() {
	t := tally{out: os.Stdout, output: map[string][]string{}}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	if !t.sum() {
		os.Exit(1)
	}
}

func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				t.take(e)
			} else {
				fmt.Fprintf(t.out, "%s", line) // what the tool itself says, outside JSON
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "output":
		t.output[key] = append(t.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(e)
		}
		delete(t.output, key)
	}
}

func (t *tally) endTest(e event) {
	switch e.Action {
	case "pass":
		t.passed++
		return
	case "fail":
		t.failed++
	case "skip":
		t.skipped++
	}
	t.noted = append(t.noted, e.Action+"  "+e.Package+" "+e.Test)
	t.print(e)
}

// endPackage reports a package. Its own "skip" means that it has no test files.
func (t *tally) endPackage(e event) {
	if e.Action == "skip" {
		return
	}
	t.packages++
	if e.Action == "fail" {
		t.broken++
		t.noted = append(t.noted, "fail  "+e.Package)
		t.print(e)
		t.flush(e.Package)
	}
	fmt.Fprintf(t.out, "%-5s %-60s %.1fs\n", e.Action, e.Package, e.Elapsed)
}

func (t *tally) print(e event) {
	fmt.Fprint(t.out, strings.Join(t.output[e.Package+" "+e.Test], ""))
}

// flush prints what the tests of a package that never ended (a panic, a timeout) had printed.
func (t *tally) flush(pkg string) {
	for key, lines := range t.output {
		if strings.HasPrefix(key, pkg+" ") && key != pkg+" " {
			fmt.Fprint(t.out, strings.Join(lines, ""))
			delete(t.output, key)
		}
	}
}

func (t *tally) sum() bool {
	for _, line := range t.noted {
		fmt.Fprintln(t.out, line)
	}
	fmt.Fprintf(t.out, "%d tests ran in %d packages: %d passed, %d failed, %d skipped\n",
		t.passed+t.failed, t.packages, t.passed, t.failed, t.skipped)
	return t.passed > 0 && t.failed == 0 && t.skipped == 0 && t.broken == 0
}
