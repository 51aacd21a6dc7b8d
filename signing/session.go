package signing

import (
	"cmp"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

// State is where a session stands; package documentation shows the ways between states.
type State string

// The states of a session (SIG-2.13).
const (
	StateCreated   State = "created"
	StateOpened    State = "opened"
	StateSigning   State = "signing"
	StateSigned    State = "signed"
	StateFailed    State = "failed"
	StateCancelled State = "cancelled"
	StateExpired   State = "expired" // follows from the clock; stored only once a webhook tells of it
)

// Over says that nothing will change the state any more.
func (s State) Over() bool {
	return s == StateSigned || s == StateFailed || s == StateCancelled || s == StateExpired
}

// session is what is kept of an accepted request, but for its payloads and its signatures, which stand in
// records of their own.
type session struct {
	ID        string `json:"id"`
	Client    string `json:"client"`
	Sub       string `json:"sub"`
	Algorithm string `json:"algorithm"`
	State     State  `json:"state"`
	Carried   string `json:"carried,omitempty"` // the caller's "state=…", byte for byte

	Created  time.Time `json:"created"`
	Deadline time.Time `json:"deadline"`        // to be signed before
	Until    time.Time `json:"until,omitzero"`  // once it is over: how long its outcome can be fetched
	Gone     time.Time `json:"gone"`            // when all of its records vanish
	Signed   time.Time `json:"signed,omitzero"` // when its signatures were verified

	Total    int  `json:"total"`
	Payloads int  `json:"payloads"`          // records that hold the payloads
	Result   int  `json:"result,omitempty"`  // records that hold certificate and signatures
	Fetched  bool `json:"fetched,omitempty"` // with Once: they were handed out, and are gone

	Browser string    `json:"browser,omitempty"` // hash of the claim of the browser that opened it
	Token   uuid.UUID `json:"token,omitzero"`    // sealed with that claim
	Mock    bool      `json:"mock,omitempty"`    // opened with mock=true
	Person  string    `json:"person,omitempty"`  // hash of the browser in which Sub signed in
	SignIn  string    `json:"signIn,omitempty"`  // what that sign-in is called where it is remembered
	Holder  string    `json:"holder,omitempty"`  // their name, sealed with the claim

	Refused *refusedSignIn `json:"refused,omitempty"` // the last sign-in, if it did not count

	Job    string    `json:"job,omitempty"` // the run that holds the lease
	Way    string    `json:"way,omitempty"` // the name of that run's way, where the page drives the agent
	Lease  time.Time `json:"lease,omitzero"`
	Runs   int       `json:"runs,omitempty"`  // all that have begun
	Tries  int       `json:"tries,omitempty"` // those that count, and the one that is under way
	Marks  string    `json:"marks,omitempty"` // one character an item: signed or pending
	Reason string    `json:"reason,omitempty"`
	Cause  string    `json:"cause,omitempty"` // what went wrong the last time, where Reason is that it did so too often

	Declined []string `json:"declined,omitempty"` // the ids of the items that the person found something wrong with

	Display string `json:"display,omitempty"` // what its page has shown: prescriptions, or for want of them ids

	Audit *client.AuditEntry `json:"audit,omitempty"` // of a signed one: its record in the audit log

	Webhook uuid.UUID `json:"webhook,omitzero"` // its token, sealed for the webhook (see outbox.go); zero: none is sent
}

const (
	markPending = '.'
	markSigned  = 's'
)

// settle applies what time alone has changed, so that a record reads the same on every node. A run whose lease ran out is
// no try: nobody has got anything wrong.
func (s *session) settle(now time.Time, tries int) {
	if s.State == StateSigning && !now.Before(s.Lease) {
		s.giveBack(reasonInterrupted, tries)
	}
	if (s.State == StateCreated || s.State == StateOpened) && !now.Before(s.Deadline) {
		s.State, s.Reason = StateExpired, cmp.Or(s.refused(), reasonExpired)
	}
}

// refused is why nobody has signed in as the person of the session, if somebody tried.
func (s *session) refused() string {
	if s.Refused == nil {
		return ""
	}
	return s.Refused.Reason
}

// end moves the session to a state that is over, from which it can be asked about until the time given.
func (s *session) end(state State, reason string, until time.Time) {
	s.State, s.Reason, s.Until = state, reason, earliest(until, s.Gone)
	s.Job, s.Way, s.Lease = "", "", time.Time{}
	if state != StateSigned {
		s.Marks = ""
	}
}

// tried are the reasons that count as a try: what a person or a card got wrong, which must not go on until the card is
// locked. Whoever waits for an agent that is away, or for a module that has crashed, has got nothing wrong.
var tried = map[string]bool{
	smartcard.CodeWrongPIN: true, smartcard.CodeCancelled: true, smartcard.CodeRefused: true, reasonCertUser: true,
}

// runsPerTry bounds the runs of a session that nobody is to blame for, since each leaves records.
const runsPerTry = 20

// giveBack returns the session to where the person can try again, or, after the last try, ends it.
func (s *session) giveBack(reason string, tries int) {
	if !tried[reason] {
		s.Tries = max(s.Tries-1, 0)
	}
	if s.Tries >= tries || s.Runs >= runsPerTry*tries {
		s.Cause = reason
		s.end(StateFailed, reasonTooManyTries, s.Gone)
		return
	}
	s.State, s.Reason = StateOpened, reason
	s.Job, s.Way, s.Lease, s.Marks = "", "", time.Time{}, ""
}

// vanished says that the outcome can no longer be fetched.
func (s *session) vanished(now time.Time) bool {
	return s.Fetched || (!s.Until.IsZero() && !now.Before(s.Until))
}

// signedItems counts the items done in the present run.
func (s *session) signedItems() int {
	n := 0
	for i := range len(s.Marks) {
		if s.Marks[i] == markSigned {
			n++
		}
	}
	return n
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
