package caddymodule

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth/openid"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// TestProblems: everything that is wrong is told once, in the words of the alert rule for it, and nothing else.
func TestProblems(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	client := func(id string, set jwks.SourceStatus) clientStatus {
		return clientStatus{ID: id, Status: statusApproved, KeySets: []keySetStatus{{SourceStatus: set}}}
	}
	status := gatewayStatus{
		Store: storeStatus{Open: true, WriteError: "no space left"},
		Services: []serviceStatus{{Health: signing.Health{Checks: map[string]signing.Check{
			"agent:https://cards": {Status: "warn", Outcome: "agent_unreachable"}, "agent:https://well": {Status: "pass"}, "store": {Status: "pass"},
		}}}},
		Clients: []clientStatus{
			client("well", jwks.SourceStatus{Read: now}), client("never", jwks.SourceStatus{Error: "no such host"}),
			client("late", jwks.SourceStatus{Read: now, Error: "refused"}),
			client("weak", jwks.SourceStatus{Read: now, Skipped: []string{"key 1 left out"}}), client("mixed", jwks.SourceStatus{Read: now, Keys: []jwks.KeyStatus{{KID: "k"}}, Skipped: []string{"key 1"}}),
		},
		OpenID:      []openid.Status{{Issuer: "https://well"}, {Issuer: "https://care", Keys: []jwks.SourceStatus{{Error: "timeout"}}}},
		Proxies:     []ProxyStatus{{}, {Catalogue: &bars.SourceStatus{Source: "catalogue.json", Error: "not JSON"}}},
		Modules:     []moduleStatus{{Path: "/well.so"}, {Path: "/cards.so", Error: "is not there"}},
		Revocations: revocationStatus{Current: 2, Missing: 1},
		pools: []share.Use{{Name: "calls"}, {Name: "requests", Last: now.Add(-time.Hour), GivenUp: 1},
			{Name: "forms", Size: 1024, GivenUp: 7, Last: now.Add(-time.Second), LastFrom: netip.MustParsePrefix("192.0.2.1/32"), LastHeld: 1000}},
		Audit: &adminapi.Audit{
			Error: "disk full", HeadError: "storage is away", KeepError: "not permitted", Waiting: 2,
			Missing: []adminapi.AuditMissing{{Node: "gw-9", What: "shorter", Head: adminapi.AuditHead{Number: 7, Hash: "9f86", Time: now}}},
		},
	}
	hooks := webhook.Stats{
		"well": {Pending: 1, Oldest: now.Add(-time.Minute)}, "acme": {Pending: 3, Oldest: now.Add(-time.Hour), Dead: 2},
	}
	expiries := []metrics.Expiry{{Kind: "issuer", Subject: "CN=later", At: now.AddDate(0, 2, 0)}, {Kind: "agent", Subject: "CN=managed", From: now.Add(-time.Hour), At: now.Add(11 * time.Hour)}, {Kind: "proxy", Subject: "CN=soon", At: now.AddDate(0, 0, 9)}}
	want := []adminapi.Problem{
		{What: "The session store refuses reads or writes", Detail: "no space left"},
		{What: "PKCS#11 module /cards.so cannot be used", Detail: "is not there"},
		{What: "The audit log cannot be written", Detail: "disk full"},
		{What: "The audit log's head cannot be signed", Detail: "storage is away"},
		{What: "The audit log of node gw-9 does not match its last known head: shorter", Detail: "last known head: 7:9f86 of 2026-11-22T12:00:00Z"},
		{What: "Files of the audit log could not be removed", Detail: "not permitted"},
		{What: "Files of the audit log are older than keep and wait for a head to be handed outside", Detail: "2 of them"},
		{What: "Smartcard agent https://cards fails", Detail: "agent_unreachable"},
		{What: "The key set of client never was never read, so its requests are refused", Detail: "no such host"},
		{What: "The key set of client late cannot be read", Detail: "refused"},
		{What: "No key in the key set of client weak can be used", Detail: "key 1 left out"},
		{What: "OpenID provider https://care cannot be read", Detail: "timeout"},
		{What: "Endpoint catalogue catalogue.json could not be read", Detail: "not JSON"},
		{What: "Revocation lists are missing or should have been renewed", Detail: "1 missing, 0 expired"},
		{What: "Certificate CN=soon (proxy) expires within 30 days", Detail: "2026-12-01"},
		{What: "Client acme has not accepted a webhook for half an hour", Detail: "3 wait"},
		{What: "Webhooks of client acme are dead letters", Detail: "2 of them"},
		{What: "Unauthenticated callers fill the pool forms", Detail: "192.0.2.1/32 held 1000 of 1024 when it last gave one up; 7 were given up since the start"},
	}
	got := problems(status, hooks, expiries, now)
	if len(got) != len(want) {
		t.Fatalf("%d problems: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
	if well := problems(gatewayStatus{}, nil, nil, now); well == nil || len(well) != 0 {
		t.Errorf("where all is well there is %+v", well)
	}

	// The alert rules begin with the same words, with a label for each name.
	rules, err := os.ReadFile("../monitoring/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`\{\{ .*? \}\}`).ReplaceAllString(strings.ReplaceAll(string(rules), " of {{ $labels.host }} are missing", " are missing"), "…")
	names := strings.NewReplacer("https://cards", "…", "/cards.so", "…", "client never", "client …", "client late", "client …", "client weak", "client …", "https://care", "…", "catalogue.json", "…",
		"pool forms", "pool …", "CN=soon (proxy)", "… (…)", "acme", "…", "gw-9", "…", ": shorter", ": …")
	for _, p := range want {
		if what := names.Replace(p.What); !strings.Contains(said, "summary: "+what) && !strings.Contains(said, `summary: "`+what) {
			t.Errorf("no alert rule begins with %q", what)
		}
	}
}

// fullStore takes no writes while it is full.
type fullStore struct {
	store.Store
	full bool
}

func (f *fullStore) Commit(ctx context.Context, batch store.Batch) error {
	if f.full {
		return errors.New("no space left on device")
	}
	return f.Store.Commit(ctx, batch)
}

// TestWriteErrorIsRemembered: a store that reads but does not write is told of, until a write succeeds.
func TestWriteErrorIsRemembered(t *testing.T) {
	disk := &fullStore{Store: memory.New(memory.Options{}), full: true}
	timed := newTimedStore(disk, metrics.New(func() metrics.Standing { return nil }))
	write := func() error {
		return timed.Commit(t.Context(), store.Batch{})
	}
	if write() == nil || !strings.Contains(timed.writeError(), "no space left") {
		t.Errorf("a write to a full disk leaves %q", timed.writeError())
	}
	timed.wrote(&store.Conflict{})
	timed.wrote(context.Canceled)
	if timed.writeError() == "" {
		t.Error("what says nothing of the disk ended it")
	}
	disk.full = false
	if err := write(); err != nil || timed.writeError() != "" {
		t.Errorf("%v, and afterwards %q", err, timed.writeError())
	}
}
