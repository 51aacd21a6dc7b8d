package cluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// receiver takes webhooks at a path for each node, which know it by different addresses. Until it is opened it keeps
// every caller waiting.
type receiver struct {
	*httptest.Server
	open chan struct{}

	mu    sync.Mutex
	began map[string]map[string]bool // by path, then by id: attempts that came
	taken map[string]string          // by id: the token
	again int                        // taken more than once
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{open: make(chan struct{}), began: map[string]map[string]bool{"/0": {}, "/1": {}}, taken: map[string]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var event struct {
		ID   string `json:"id"`
		Data struct {
			Token  string `json:"token"`
			Status string `json:"status"`
		} `json:"data"`
	}
	err := json.NewDecoder(q.Body).Decode(&event)
	id := q.Header.Get("Webhook-Id")
	if err != nil || id == "" || id != event.ID || id != q.Header.Get("Idempotency-Key") || event.Data.Status != "signed" {
		http.Error(w, "not a webhook", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.began[q.URL.Path][id] = true
	r.mu.Unlock()
	select {
	case <-r.open:
	case <-q.Context().Done(): // the node was killed, or gave up
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken[id] != "" {
		r.again++
	}
	r.taken[id] = event.Data.Token
}

func (r *receiver) count() (here, there, taken int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.began["/0"]), len(r.began["/1"]), len(r.taken)
}

// whole says that all were taken, and that those which the node that was killed had begun came again from the other. What
// it had begun may be taken here as well, if that is noticed before its end is.
func (r *receiver) whole(sessions int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.began["/0"] {
		if !r.began["/1"][id] {
			return false
		}
	}
	return len(r.taken) == sessions
}

// A node that is killed while it delivers webhooks takes none with it: the other delivers them when the lease is over,
// under the same ids.
func TestKilledWhileDelivering(t *testing.T) {
	r := newReceiver(t)
	var o options
	for node := range o.client {
		o.client[node] = fmt.Sprintf("webhook %s/%d", r.URL, node)
	}
	o.options = "webhooks {\n\t\t\ttimeout 4s\n\t\t\tpoll 2s\n\t\t}"
	c := newCluster(t, o)

	const sessions = 6
	tokens := map[string]bool{}
	for range sessions {
		accepted := c.request(t, 0, gateway.Payloads("RS256", 1)...)
		if v := c.visit(t, 0, accepted).SignToEnd(); v.State != "signed" {
			t.Fatalf("ended %+v, %+v", v, v.Reason)
		}
		tokens[accepted.Token] = true
	}
	if !gateway.Eventually(patience, func() bool { here, _, _ := r.count(); return here > 0 }) {
		t.Fatal("the node that signed delivers nothing")
	}
	c.nodes[0].Kill()
	held, _, taken := r.count()
	if taken != 0 {
		t.Fatalf("%d were taken already", taken)
	}
	close(r.open)
	if !gateway.Eventually(2*patience, func() bool { return r.whole(sessions) }) {
		here, there, taken := r.count()
		t.Fatalf("%d of %d webhooks were taken; %d were begun by the node that was killed, %d by the other", taken, sessions, here, there)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, token := range r.taken {
		if !tokens[token] {
			t.Errorf("webhook %s tells of a token that nobody has", id)
		}
		delete(tokens, token)
	}
	for id := range r.began["/0"] {
		if r.taken[id] == "" {
			t.Errorf("webhook %s of the node that was killed was not taken", id)
		}
	}
	t.Logf("the node that was killed held %d, %d were taken twice", held, r.again)
}
