package caddymodule

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// A refresh whose answer was lost is answered again in production, and elsewhere only if the operator wants it.
func TestRefreshRepeat(t *testing.T) {
	of := func(d time.Duration) *caddy.Duration { option := caddy.Duration(d); return &option }
	for _, c := range []struct {
		environment Environment
		option      *caddy.Duration
		want        time.Duration
		good        bool
	}{
		{Production, nil, 10 * time.Second, true}, {Integration, nil, 0, true}, {Sandbox, nil, 0, true},
		{Production, of(0), 0, true}, {Integration, of(3 * time.Second), 3 * time.Second, true}, {Production, of(time.Minute), time.Minute, true},
		{Production, of(time.Minute + 1), 0, false}, {Production, of(-1), 0, false},
	} {
		got, err := (&TokenService{Environment: c.environment, RefreshRepeat: c.option}).refreshRepeat()
		if got != c.want || (err == nil) != c.good {
			t.Errorf("%s with %v: got %s, %v; want %s", c.environment, c.option, got, err, c.want)
		}
	}
}
