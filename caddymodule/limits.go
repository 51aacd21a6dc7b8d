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

// Limit is the most that an option's duration can be meant to be, and why.
type Limit struct {
	Name  string
	Value caddy.Duration
	Most  time.Duration
	Why   string // a clause: no gateway waits longer
}

// CheckLimits refuses durations that are less than nothing, or longer than can be meant. Zero stands for the default.
func CheckLimits(limits ...Limit) error {
	for _, limit := range limits {
		value := time.Duration(limit.Value)
		switch {
		case value < 0:
			return fmt.Errorf("%s %s is less than nothing; write a duration such as 30s, or leave it out for the default", limit.Name, value)
		case value > limit.Most:
			return fmt.Errorf("%s %s is longer than %s: %s; make it shorter, or leave it out for the default", limit.Name, value, limit.Most, limit.Why)
		}
	}
	return nil
}

// CheckCount refuses a number that is less than nothing, or more than can be meant. Zero stands for the default.
func CheckCount(name string, value, most int64) error {
	if value < 0 || value > most {
		return fmt.Errorf("%s %d cannot be meant; write a number from 1 to %d, or leave it out for the default", name, value, most)
	}
	return nil
}

var (
	userPattern = regexp.MustCompile(`^(?:[0-9?*]|\[\^?[0-9-]+\])+$`)
	userClass   = regexp.MustCompile(`\[[^]]*\]`)
)

// userDigits is the length of an SDS user id.
const userDigits = 12

// CheckUsers refuses patterns that no user id can match: a user id is twelve digits, and * stands for any of them.
func CheckUsers(what string, patterns []string) error {
	for i, pattern := range patterns {
		places := userClass.ReplaceAllString(pattern, "?")
		fixed := len(places) - strings.Count(places, "*")
		_, err := path.Match(pattern, "")
		switch {
		case !userPattern.MatchString(pattern) || err != nil:
			return fmt.Errorf("%s pattern %q matches no user id, which is twelve digits; write one, with * for any digits, such as 5550*", what, pattern)
		case fixed > userDigits || fixed < userDigits && !strings.Contains(places, "*"):
			return fmt.Errorf("%s pattern %q has %d digits and matches no user id, which has twelve; write all of them, or * for the others", what, pattern, fixed)
		case slices.Contains(patterns[:i], pattern):
			return fmt.Errorf("%s pattern %q is there twice", what, pattern)
		}
	}
	return nil
}
