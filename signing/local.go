package signing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// An agent on the person's own machine is driven by the page (AGT-B):
//
//	page ── /client/sign ──▶ the run begins; the page gets its order
//	page ── the agent, on loopback ──
//	page ── /client/keep ──▶ the lease is renewed, again and again while the agent is at work
//	page ── /client/answer ─▶ what the agent returned is verified as any other agent's, or why it did not is told
//
// A page that is closed or loaded again gives its run up (page_closed). If it cannot say so, it renews nothing: the lease
// runs out, and the person can try again.

// order is what the page hands to the agent.
type order struct {
	Job       string              `json:"job"`
	Algorithm string              `json:"algorithm"`
	Payloads  []smartcard.Payload `json:"payloads"`
	Timeout   int64               `json:"timeout"` // milliseconds that the page waits for the answer
}

// localFailures are what the page may say went wrong at an agent that it has begun to ask. All can be tried again.
var localFailures = map[string]bool{
	smartcard.CodeNoCard: true, smartcard.CodeWrongPIN: true, smartcard.CodeCancelled: true, smartcard.CodeUnreachable: true,
	smartcard.CodeRefused: true, smartcard.CodeTimeout: true, smartcard.CodeGarbage: true, reasonClosed: true,
}

// orderFor returns the order of a run that the page has to carry out, or nil.
func (s *Service) orderFor(ctx context.Context, of *session) (*order, error) {
	if of.State != StateSigning || of.Way == "" {
		return nil, nil
	}
	items, err := s.sessions.payloads(ctx, of)
	if err != nil {
		return nil, err
	}
	o := &order{Job: of.Job, Algorithm: of.Algorithm, Timeout: s.patience(of).Milliseconds(), Payloads: make([]smartcard.Payload, len(items))}
	for i, it := range items {
		o.Payloads[i] = smartcard.Payload{ID: it.ID, Payload: it.Payload}
	}
	return o, nil
}

// patience is how long the page waits for the agent that it drives.
func (s *Service) patience(of *session) time.Duration {
	routes, _ := s.routesFor(of)
	for _, route := range routes {
		if route.Name == of.Way && route.local() {
			return route.Timeout
		}
	}
	return 0 // its way was taken out of the configuration meanwhile
}

// keepSigning renews the lease of a run that the page carries out.
func (s *Service) keepSigning(w http.ResponseWriter, r *http.Request) error {
	call, held, err := s.readHeldCall(w, r, maxCall)
	if err != nil {
		return err
	}
	found, err := s.sessions.change(r.Context(), call.ID, func(current *session) ([]store.Op, error) {
		if err := held.check(current); err != nil {
			return nil, err
		}
		if !current.runsLocally(call.Job) {
			return nil, errUnchanged
		}
		s.renew(current)
		return nil, nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return err
	}
	writeJSON(w, http.StatusOK, s.viewOf(found, held))
	return nil
}

// takeAnswer takes what the agent returned to the page. It goes on to the end when the browser has gone meanwhile.
func (s *Service) takeAnswer(w http.ResponseWriter, r *http.Request) error {
	call, held, err := s.readHeldCall(w, r, maxAnswer)
	if err != nil {
		return err
	}
	if call.Failure != "" && !localFailures[call.Failure] {
		return badRequest("malformed", "There is no failure of that name")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), concludeWithin)
	defer cancel()
	found, _, err := s.sessions.get(ctx, call.ID)
	if err != nil {
		return err
	}
	if err := held.check(found); err != nil {
		return err
	}
	if found.runsLocally(call.Job) { // else it is over, or another try's: the page sees how it stands
		if err := s.runOf(ctx, found).conclusion(ctx, &call); err != nil && !errors.Is(err, errLost) && asRefusal(err) == nil {
			return err
		}
		if found, _, err = s.sessions.get(ctx, call.ID); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, s.viewOf(found, held))
	return nil
}

// runsLocally says whether the session is in this run, and the page carries it out.
func (s *session) runsLocally(job string) bool {
	return s.State == StateSigning && s.Way != "" && s.Job == job
}

func (s *Service) runOf(asked context.Context, of *session) *job {
	return &job{service: s, session: of, route: Route{Name: of.Way}, asked: asked}
}

// conclusion keeps what came of a run that the page has carried out.
func (j *job) conclusion(ctx context.Context, brought *call) error {
	began := j.session.Lease.Add(-j.service.Durations.Lease) // at the latest
	released, err := j.brought(ctx, brought)
	return j.finish(ctx, began, released, err)
}

// brought verifies what the page has brought.
func (j *job) brought(ctx context.Context, call *call) ([]item, error) {
	if call.Failure != "" {
		return nil, &refusal{code: call.Failure, detail: "the page says so of the agent on the person's machine"}
	}
	items, err := j.service.sessions.payloads(ctx, j.session)
	if err != nil {
		return nil, err
	}
	result, err := arrange(items, call)
	if err != nil {
		return nil, refuse(smartcard.CodeMismatch, "%v", err)
	}
	return j.approve(ctx, items, result)
}

// arrange puts signatures into the order of the items: one for each, and no other.
func arrange(items []item, call *call) (*smartcard.Result, error) {
	places := make(map[string]int, len(items))
	for i, it := range items {
		places[it.ID] = i
	}
	result := &smartcard.Result{Certificate: call.Certificate, Signatures: make([][]byte, len(items))}
	for _, s := range call.Signatures {
		i, known := places[s.ID]
		switch {
		case !known:
			return nil, errors.New("a signature of an item that was not asked for")
		case result.Signatures[i] != nil:
			return nil, errors.New("two signatures of one item")
		case len(s.Signature) == 0:
			return nil, errors.New("an empty signature")
		}
		result.Signatures[i] = s.Signature
	}
	if len(call.Signatures) != len(items) {
		return nil, fmt.Errorf("%d signatures for %d items", len(call.Signatures), len(items))
	}
	return result, nil
}
