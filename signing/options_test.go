package signing

import (
	"context"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store/memory"
)

func TestOptions(t *testing.T) {
	good := func() Options {
		return Options{
			Environment: "prod", Store: memory.New(memory.Options{}), Keys: keyring{}, Runner: deadNode{},
			BaseURL: func(*http.Request) (string, error) { return baseURL, nil },
			Access:  func(*http.Request) (Caller, error) { return Caller{}, nil },
			Clients: map[string]Client{acme: {Callback: callback}},
		}
	}
	if s, err := New(good()); err != nil || s.Tries != 5 || s.Trust.MinBits != 1024 || s.Durations != (Durations{
		30 * time.Minute, time.Hour, 30 * time.Second, time.Minute, 30 * time.Second, 250 * time.Millisecond,
	}) {
		t.Fatalf("defaults: %v", err)
	}
	client := func(c Client) func(*Options) { return func(o *Options) { o.Clients = map[string]Client{acme: c} } }
	for want, change := range map[string]func(*Options){
		"needs a store":                func(o *Options) { o.Store = nil },
		"needs a store, keys":          func(o *Options) { o.Keys = nil },
		"a runner":                     func(o *Options) { o.Runner = nil },
		"an access check":              func(o *Options) { o.Access = nil },
		"a base URL":                   func(o *Options) { o.BaseURL = nil },
		"production refuses a mock":    func(o *Options) { o.Mock = &Route{} },
		"and trust in one":             func(o *Options) { o.Trust.Mock = func(context.Context) (*x509.Certificate, error) { return nil, nil } },
		"plain http, which production": client(Client{Callback: "http://epr.example/signed"}),
		"has no callback":              client(Client{}),
		"not an absolute":              client(Client{Callback: "/signed"}),
		"neither a fragment":           client(Client{Callback: "https://epr.example/#x"}),
		"nor a user in it":             client(Client{Callback: "https://a:b@epr.example/"}),
		`"RS512" is not known`:         client(Client{Callback: callback, Algorithms: []string{"RS512"}}),
		"more than 256 bytes":          func(o *Options) { o.Clients = map[string]Client{strings.Repeat("c", 257): {Callback: callback}} },
		"users pattern":                func(o *Options) { o.Agents = []Route{{Name: "a", Users: []string{"["}}} },
		"too short":                    func(o *Options) { o.Durations.Lease = time.Millisecond },
	} {
		options := good()
		change(&options)
		if _, err := New(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
