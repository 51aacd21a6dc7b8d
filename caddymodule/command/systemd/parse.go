package systemd

import (
	"fmt"
	"strings"
)

// maxFile bounds what is read of a unit file or an environment file.
const maxFile = 1 << 20

// assignment is a line "Key=value" of a section.
type assignment struct{ section, key, value string }

// assignments reads the lines of a unit file. A line that ends with a backslash goes on with the next one that is no comment.
func assignments(text string) []assignment {
	var (
		all     []assignment
		section string
		joined  strings.Builder
	)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			joined.WriteString(before + " ")
			continue
		}
		line = joined.String() + line
		joined.Reset()
		if name, is := strings.CutPrefix(line, "["); is && strings.HasSuffix(name, "]") {
			section = strings.TrimSuffix(name, "]")
		} else if key, value, is := strings.Cut(line, "="); is {
			all = append(all, assignment{section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return all
}

// words splits a value at spaces, but for those in quotes or behind a backslash, as systemd.syntax(7) has it.
func words(value string) ([]string, error) {
	var (
		all    []string
		word   strings.Builder
		inWord bool
		quote  rune
		escape bool
	)
	for _, r := range value {
		switch {
		case escape:
			word.WriteRune(r)
			escape = false
		case r == '\\':
			escape, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if inWord {
				all = append(all, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escape {
		return nil, fmt.Errorf("a quote in %q is not closed", value)
	}
	if inWord {
		all = append(all, word.String())
	}
	return all, nil
}

// variables reads a file of EnvironmentFile=: lines of NAME=value, the value with or without quotes.
func variables(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, is := strings.Cut(line, "=")
		if !is || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		all[strings.TrimSpace(name)] = value
	}
	return all
}
