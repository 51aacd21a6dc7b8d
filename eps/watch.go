package eps

import (
	"net/http"
	"path"

	"github.com/seed-dd2befc3/countersign/prescription"
)

// Operations of EPS that matter here: the last elements of their paths (EPS-1, EPS-4).
const (
	prepareOperation = "$prepare"
	processOperation = "$process-message"
)

// maxAnswer is the most that an answer of $prepare has: a SignedInfo of 541 bytes and little else.
const maxAnswer = 64 << 10

// Watch has pass answer a request, and notes request and answer if they are a $prepare of this client. Neither is
// changed or delayed. An empty client notes nothing.
func (c *Checker) Watch(client string, w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter, *http.Request) error) error {
	if client == "" || r.Method != http.MethodPost || path.Base(r.URL.Path) != prepareOperation || r.Body == nil {
		return pass(w, r)
	}
	request := &held{budget: &c.budget, most: prescription.MaxBytes}
	answer := &watchedAnswer{ResponseWriter: w, held: &held{budget: &c.budget, most: maxAnswer}}
	defer request.drop()
	defer answer.held.drop()
	encoding := r.Header.Get("Content-Encoding")
	r.Body = &watchedBody{ReadCloser: r.Body, held: request, left: r.ContentLength}
	if err := pass(answer, r); err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		return nil
	}
	answer.held.ended()
	c.note(client, part{encoding, request}, part{w.Header().Get("Content-Encoding"), answer.held})
	return nil
}

// part is a body with its Content-Encoding.
type part struct {
	encoding string
	held     *held
}

// note queues a check. What cannot be queued is not checked: its display is missing, and nobody waits.
func (c *Checker) note(client string, request, answer part) {
	sent, whole := request.held.take()
	if !whole {
		c.tell(OutcomeTooLarge)
		return
	}
	told, whole := answer.held.take()
	if !whole {
		c.budget.give(len(sent))
		c.tell(OutcomeTooLarge)
		return
	}
	passed := passage{client, body{request.encoding, sent}, body{answer.encoding, told}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		select {
		case c.queue <- passed:
			return
		default:
		}
	}
	c.budget.give(passed.size())
	c.tell(OutcomeBusy)
}
