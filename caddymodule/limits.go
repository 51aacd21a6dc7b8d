package caddymodule

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Limit is the maximum of an option's duration, and its reason.
type Limit struct {
	Name  string
	Value caddy.Duration
	Most  time.Duration
	Why   string // a clause, such as: no gateway waits longer
}

// CheckLimits refuses durations that are negative or above their maximum. Zero stands for the default.
func CheckLimits(limits ...Limit) error {
	for _, limit := range limits {
		value := time.Duration(limit.Value)
		switch {
		case value < 0:
			return fmt.Errorf("%s %s is negative: give a duration such as 30s, or remove it to use the default", limit.Name, value)
		case value > limit.Most:
			return fmt.Errorf("%s %s is longer than %s: %s; make it shorter, or remove it to use the default", limit.Name, value, limit.Most, limit.Why)
		}
	}
	return nil
}

// CheckCount refuses a number that is negative or above its maximum. Zero stands for the default.
func CheckCount(name string, value, most int64) error {
	if value < 0 || value > most {
		return fmt.Errorf("%s %d is out of range: give a number from 1 to %d, or remove it to use the default", name, value, most)
	}
	return nil
}

var (
	userPattern = regexp.MustCompile(`^(?:[0-9?*]|\[\^?[0-9-]+\])+$`)
	userClass   = regexp.MustCompile(`\[[^]]*\]`)
)

// userDigits is the length of an SDS user id.
const userDigits = 12

// CheckUsers refuses patterns that no user id can match. A user id has twelve digits; * stands for any digits.
func CheckUsers(what string, patterns []string) error {
	for i, pattern := range patterns {
		places := userClass.ReplaceAllString(pattern, "?")
		fixed := len(places) - strings.Count(places, "*")
		_, err := path.Match(pattern, "")
		switch {
		case !userPattern.MatchString(pattern) || err != nil:
			return fmt.Errorf("%s pattern %q matches no user id: a user id has twelve digits; use * for any digits, such as 5550*", what, pattern)
		case fixed > userDigits || fixed < userDigits && !strings.Contains(places, "*"):
			return fmt.Errorf("%s pattern %q has %d digits and matches no user id: give all twelve digits, or * for the others", what, pattern, fixed)
		case slices.Contains(patterns[:i], pattern):
			return fmt.Errorf("%s pattern %q is a duplicate: remove one", what, pattern)
		}
	}
	return nil
}
