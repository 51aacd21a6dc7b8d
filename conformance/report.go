package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Count returns how many results have an outcome.
func Count(results []Result, o Outcome) int {
	n := 0
	for _, result := range results {
		if result.Outcome == o {
			n++
		}
	}
	return n
}

// Conforms reports whether every case that was run was answered as its rule demands, and at least one was.
func Conforms(results []Result) bool {
	return Count(results, Same) > 0 && Count(results, Differs)+Count(results, Failed) == 0
}

type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitMessage `xml:"failure,omitempty"`
		Error   *junitMessage `xml:"error,omitempty"`
		Skipped *junitMessage `xml:"skipped,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes results as JUnit XML, a suite for each section.
func WriteJUnit(w io.Writer, results []Result) error {
	var suites junitSuites
	for _, section := range Sections() {
		of := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Section != section })
		if len(of) == 0 {
			continue
		}
		suite := junitSuite{
			Name: string(section), Tests: len(of), Failures: Count(of, Differs), Errors: Count(of, Failed), Skipped: Count(of, Skipped),
		}
		for _, result := range of {
			suite.Cases = append(suite.Cases, result.junit())
		}
		suites.Suites = append(suites.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suites); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func (r Result) junit() junitCase {
	c := junitCase{Name: r.ID(), Class: string(r.Section)}
	switch r.Outcome {
	case Differs:
		lines := make([]string, len(r.Differences))
		for i, d := range r.Differences {
			lines[i] = d.String()
		}
		c.Failure = &junitMessage{Message: lines[0], Text: strings.Join(lines, "\n")}
	case Failed:
		c.Error = &junitMessage{Message: r.Why}
	case Skipped:
		c.Skipped = &junitMessage{Message: r.Why}
	}
	return c
}
