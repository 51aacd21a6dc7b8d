package systemd

import (
	"fmt"
	"strings"
)

// expand replaces the specifiers that a path of a system service can hold (systemd.unit(5)). One that it does not know
// is an error: a directory that was guessed would be worse than none.
func (u *Unit) expand(value string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '%' {
			out.WriteByte(value[i])
			continue
		}
		i++
		if i == len(value) {
			return "", fmt.Errorf("%s: a lone %% ends %q", u.File, value)
		}
		known, is := u.specifier(value[i])
		if !is {
			return "", fmt.Errorf("%s: %%%c in %q is not known here: write the path out", u.File, value[i], value)
		}
		out.WriteString(known)
	}
	return out.String(), nil
}

func (u *Unit) specifier(letter byte) (string, bool) {
	whole := strings.TrimSuffix(u.Name, suffix)
	prefix, instance, _ := strings.Cut(whole, "@")
	switch letter {
	case '%':
		return "%", true
	case 'S':
		return stateRoot, true
	case 'E':
		return "/etc", true
	case 'C':
		return "/var/cache", true
	case 'L':
		return "/var/log", true
	case 't':
		return "/run", true
	case 'T':
		return "/tmp", true
	case 'V':
		return "/var/tmp", true
	case 'h':
		return "/root", true // of the manager's user
	case 'n':
		return u.Name, true
	case 'N':
		return whole, true
	case 'p':
		return prefix, true
	case 'i':
		return instance, true
	}
	return "", false
}
