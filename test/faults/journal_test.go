package faults_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// journal is what was acknowledged, on a disk that no fault reaches. An acknowledgement counts once it is fsynced.
type journal struct {
	file *os.File

	mu         sync.Mutex
	written    int // lines
	requests   []*request
	byToken    map[string]*request
	assertions []*assertion

	webhooks int

	syncing sync.Mutex
	synced  int // lines
}

// request is an accepted signing request, and how far its journey was seen to be. Its journal guards what changes.
type request struct {
	items       []item
	jwt, state  string
	access      *assertion // whose access token it is asked with
	token, page string     // as acknowledged

	stage  stage
	digest string // of the signatures, once fetched
}

// stage is how far a session was acknowledged to be. It never goes back.
type stage int

const (
	created stage = iota
	opened
	cancelled
	failed
	expired
	signed // told by the page, by a redirect or by a webhook
)

var stages = []string{"created", "opened", "cancelled", "failed", "expired", "signed"}

func (s stage) String() string { return stages[s] }

// assertion is a client assertion that was accepted: its jti is used up, and its access token is in force.
type assertion struct {
	form   string
	token  string
	expiry time.Time // of the assertion
	until  time.Time // when the access token ends
}

func newJournal(t testing.TB) *journal {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "journal"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &journal{file: file, byToken: map[string]*request{}}
}

// line is one acknowledgement as the journal keeps it.
type line struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Token string    `json:"token,omitempty"`
	Text  string    `json:"text,omitempty"`
}

// keep makes a line durable and then has it count. A journal that cannot be written ends the test: nothing that
// follows would mean anything.
func (j *journal) keep(l line, count func()) {
	l.At = time.Now()
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and a time
	}
	j.sync(j.write(append(text, '\n')))
	j.mu.Lock()
	defer j.mu.Unlock()
	count()
}

// write returns the number of the line.
func (j *journal) write(text []byte) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(text); err != nil {
		panic(err)
	}
	j.written++
	return j.written
}

// sync returns when the line is durable. Those who wait for each other share an fsync.
func (j *journal) sync(number int) {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= number {
		return
	}
	j.mu.Lock()
	written := j.written
	j.mu.Unlock()
	if err := j.file.Sync(); err != nil {
		panic(err)
	}
	j.synced = written
}

func (j *journal) used(a *assertion) {
	j.keep(line{What: "jti", Token: a.token, Text: a.form}, func() { j.assertions = append(j.assertions, a) })
}

func (j *journal) accepted(r *request) {
	j.keep(line{What: "request", Token: r.token, Text: r.jwt}, func() {
		j.requests = append(j.requests, r)
		j.byToken[r.token] = r
	})
}

func (j *journal) reached(r *request, s stage) {
	j.keep(line{What: s.String(), Token: r.token}, func() { r.stage = max(r.stage, s) })
}

// told takes down that a webhook has told of an end, unless something else is known already.
func (j *journal) told(e event) error {
	j.mu.Lock()
	r := j.byToken[e.Data.Token]
	j.mu.Unlock()
	end := stage(slices.Index(stages, e.Data.Status))
	if r == nil || end < cancelled || "state="+e.Data.State != r.state {
		return fmt.Errorf("nobody has asked for what it tells: %+v", e)
	}
	if before, _ := j.standing(r); before > opened && before != end {
		return fmt.Errorf("a request is %s, and a webhook tells that it is %s", before, end)
	}
	j.reached(r, end)
	j.keep(line{What: "webhook", Token: r.token, Text: e.ID}, func() { j.webhooks++ })
	return nil
}

func (j *journal) fetched(r *request, digest string) {
	j.keep(line{What: "fetched", Token: r.token, Text: digest}, func() { r.stage, r.digest = signed, digest })
}

// standing is what is known of a request at this moment.
func (j *journal) standing(r *request) (s stage, digest string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return r.stage, r.digest
}

// since returns what was acknowledged after so many requests and assertions.
func (j *journal) since(requests, assertions int) ([]*request, []*assertion) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.requests[requests:len(j.requests):len(j.requests)], j.assertions[assertions:len(j.assertions):len(j.assertions)]
}
