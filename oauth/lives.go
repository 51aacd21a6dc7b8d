package oauth

import (
	"net/url"
	"strconv"
	"time"
)

// lives are how long what a token request gets is good for.
type lives struct {
	access  time.Duration // of the access token
	refresh time.Duration // of the refresh token, within its window
	window  time.Duration // from the sign-in, in which it can be refreshed
}

// livesOf are the lives that a form asks for, which are shorter than the default or the default (TOK-8.1).
func (o *Options) livesOf(form url.Values) lives {
	l := lives{access: tokenLife, refresh: refreshWindow, window: refreshWindow}
	if !o.ShorterLives {
		return l
	}
	l.access = shorter(form[paramAccessLife], l.access)
	l.refresh = shorter(form[paramRefreshLife], l.refresh)
	if form.Get(paramGrantType) == grantRefresh {
		l.window = shorter(form[paramRefreshWindow], l.window)
	}
	return l
}

// shorter is a number of milliseconds below the default, or the default.
func shorter(sent []string, most time.Duration) time.Duration {
	if len(sent) != 1 {
		return most
	}
	ms, err := strconv.ParseInt(sent[0], 10, 64)
	if err != nil || ms < 0 || ms >= most.Milliseconds() {
		return most
	}
	return time.Duration(ms) * time.Millisecond
}

// expiresIn is how an answer tells a life: in whole seconds.
func expiresIn(life time.Duration) string { return strconv.Itoa(int(life / time.Second)) }
