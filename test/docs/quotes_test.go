package docs_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// quoted is a comment that says where the code block below it comes from: a file and a region of it.
var quoted = regexp.MustCompile("(?m)^<!-- from (\\S+) \\[(\\w+)\\] -->\n+```\\w*\n((?s).*?)```$")

// TestQuotes checks that what the pages quote from files is what stands in them.
func TestQuotes(t *testing.T) {
	texts := sources(t)
	found := 0
	for name, text := range texts {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		if marks, quotes := strings.Count(text, "<!-- from "), quoted.FindAllStringSubmatch(text, -1); marks != len(quotes) {
			t.Errorf("%s: got %d code blocks for %d comments <!-- from file [region] -->", name, len(quotes), marks)
		}
		for _, quote := range quoted.FindAllStringSubmatch(text, -1) {
			found++
			want, err := region(texts[quote[1]], quote[2])
			if err != nil {
				t.Errorf("%s quotes %s: %v", name, quote[1], err)
			} else if quote[3] != want {
				t.Errorf("%s: the region %s of %s reads\n%s\nwant, as in the file,\n%s", name, quote[2], quote[1], quote[3], want)
			}
		}
	}
	if found == 0 {
		t.Error("got no quotes, want those of docs/client-developers.md")
	}
}

// region returns the lines between a line with [name] and one with [/name], without their common indentation. The first
// line's text stays: it says what the region does.
func region(text, name string) (string, error) {
	lines := strings.Split(text, "\n")
	from, to := -1, -1
	for i, line := range lines {
		switch {
		case strings.Contains(line, "["+name+"] "):
			from = i
		case strings.Contains(line, "[/"+name+"]"):
			to = i
		}
	}
	if from < 0 || to < from {
		return "", fmt.Errorf("it has no region %s", name)
	}
	indent := lines[from][:len(lines[from])-len(strings.TrimLeft(lines[from], " \t"))]
	var out strings.Builder
	for i, line := range lines[from:to] {
		if i == 0 {
			line = strings.Replace(line, "["+name+"] ", "", 1)
		}
		out.WriteString(strings.TrimPrefix(line, indent) + "\n")
	}
	return strings.TrimRight(out.String(), "\n") + "\n", nil
}

// TestRegions checks that every client has every step, so that a page can quote any of them.
func TestRegions(t *testing.T) {
	texts := sources(t)
	for language, files := range map[string][]string{
		"python": {"client.py"}, "node": {"client.mjs"}, "java": {"Client.java"}, "php": {"client.php", "listener.php"}, "go": {"main.go", "listener.go"},
	} {
		all := ""
		for _, file := range files {
			all += texts["examples/clients/"+language+"/"+file]
		}
		for _, step := range []string{"retry", "token", "call", "request", "callback", "webhook", "poll", "fetch", "verify", "assemble"} {
			if _, err := region(all, step); err != nil {
				t.Errorf("%s: %v", language, err)
			}
		}
	}
}
