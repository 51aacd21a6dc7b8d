package audit_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
)

// signer is a gateway's own keys, reduced to what a log needs.
type signer struct {
	mu      sync.Mutex
	keys    []ed25519.PrivateKey
	signing int // index of the signing key; later keys are published already
	overlap int // number of earlier keys that still sign too
	fail    error
	prefix  string // of kids
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{prefix: "key"}
	s.rotate(t)
	return s
}

// publish generates a key that does not sign yet.
func (s *signer) publish(t *testing.T) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, key)
}

// rotate makes the last key the signing key, generating one if it already is.
func (s *signer) rotate(t *testing.T) {
	t.Helper()
	if s.signing+1 >= len(s.keys) {
		s.publish(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signing = len(s.keys) - 1
}

// away makes every call fail with err, or succeed again if it is nil.
func (s *signer) away(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *signer) kid(i int) string { return fmt.Sprintf("%s-%d", s.prefix, i+1) }

func (s *signer) SignAll(_ context.Context, message []byte) (all []audit.Signature, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	for i := s.signing; i >= max(s.signing-s.overlap, 0); i-- {
		all = append(all, audit.Signature{KID: s.kid(i), Value: ed25519.Sign(s.keys[i], message)})
	}
	return all, nil
}

func (s *signer) PublicSet(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	return s.jwks(max(s.signing-s.overlap, 0), len(s.keys))
}

func (s *signer) jwks(from, to int) ([]byte, error) {
	var keys []json.RawMessage
	for i := from; i < to; i++ {
		keys = append(keys, s.jwk(i))
	}
	return json.Marshal(map[string]any{"keys": keys})
}

func (s *signer) jwk(i int) json.RawMessage {
	x := base64.RawURLEncoding.EncodeToString(s.keys[i].Public().(ed25519.PublicKey))
	return json.RawMessage(fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, s.kid(i), x))
}

// saved returns the JWK set of some keys, or of all if none is named.
func (s *signer) saved(t *testing.T, keys ...int) []byte {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	set, err := s.jwks(0, len(s.keys))
	if len(keys) > 0 {
		set, err = s.jwks(keys[0], keys[len(keys)-1]+1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// by returns evidence with the signer's keys.
func (s *signer) by(t *testing.T, heads ...audit.Position) audit.Evidence {
	t.Helper()
	return audit.Evidence{Keys: [][]byte{s.saved(t)}, Heads: heads}
}

func open(t *testing.T, dir string, s *signer, change func(*audit.Options)) *audit.Log {
	t.Helper()
	o := audit.Options{Dir: dir, Signer: s, Host: "gw-1"}
	if change != nil {
		change(&o)
	}
	log, err := audit.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// fill appends records and returns the position of the last.
func fill(t *testing.T, log *audit.Log, n int) (at audit.Position) {
	t.Helper()
	for i := range n {
		var err error
		if at, err = log.Append(t.Context(), "signing", map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

func closeLog(t *testing.T, log *audit.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// entries reads a log.
func entries(t *testing.T, dir string) (all []audit.Entry) {
	t.Helper()
	if err := audit.Read(dir, func(e audit.Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// kinds returns the kinds of all entries of a log, separated by spaces.
func kinds(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	for _, e := range entries(t, dir) {
		all = append(all, e.Kind)
	}
	return strings.Join(all, " ")
}

// forger writes a log entry by entry, as somebody with access to its directory could.
type forger struct {
	t    *testing.T
	s    *signer // signs heads
	at   time.Time
	last audit.Entry
	text []byte
}

func forge(t *testing.T, s *signer) *forger {
	t.Helper()
	return &forger{t: t, s: s, at: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
}

func (f *forger) put(kind string, data any) *forger {
	f.t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		f.t.Fatal(err)
	}
	e := audit.Entry{Seq: f.last.Seq + 1, Time: f.at, Prev: f.last.Hash, Kind: kind, Data: text}
	line, err := e.Line()
	if err != nil {
		f.t.Fatal(err)
	}
	f.text, f.last = append(f.text, line...), e
	return f
}

// records adds records, each the given time after the one before.
func (f *forger) records(n int, apart time.Duration) *forger {
	for i := range n {
		f.at = f.at.Add(apart)
		f.put("signing", i)
	}
	return f
}

func (f *forger) named() *forger {
	return f.put("log", map[string]string{"node": "gw-1", "log": "5f1d"})
}

func (f *forger) key(i int) *forger {
	return f.put("key", map[string]any{"kid": f.s.kid(i), "jwk": f.s.jwk(i)})
}

// head adds a head signed with one key of the signer. Version 0 is that of an older program.
func (f *forger) head(i, version int) *forger {
	data := map[string]any{"kid": f.s.kid(i), "signature": ed25519.Sign(f.s.keys[i], audit.HeadMessage(f.last.Seq, f.last.Hash))}
	if version > 0 {
		data["v"] = version
	}
	return f.put("head", data)
}

// position returns the position of the last entry.
func (f *forger) position() audit.Position {
	return audit.Position{Node: "gw-1", Number: f.last.Seq, Hash: f.last.Hash}
}

// write writes the log to a directory.
func (f *forger) write() (dir string) {
	f.t.Helper()
	dir = f.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "audit-000001.jsonl"), f.text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return dir
}
