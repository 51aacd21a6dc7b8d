package signing

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

// sandboxFaultHeader chooses, with a request for signatures, what the sandbox plays: a fault of a smartcard agent, or a
// sign-in at the page that does not count.
const sandboxFaultHeader = "X-Fault"

// sandboxSlow is how long the fault slow takes, in which the page waits.
const sandboxSlow = 5 * time.Second

// scenario is what the sandbox plays for a token: a signature, a fault of the mock smartcard agent's, by its name
// (AGT-M.2), or a sign-in that does not count, by its reason.
type scenario struct {
	fault  string // empty: none
	token  string
	state  State  // that signing leads to, or cancelling after such a sign-in
	reason string // why, where it is not signed

	signIn bool     // the page does not open, whoever signs in and however often
	came   SignedIn // who signed in
}

// sandboxFaults have tokens 00000000-0000-4000-8000-000000000101 and on, in this order, which stays.
var sandboxFaults = numbered([]scenario{
	{fault: "no_card", state: StateOpened, reason: smartcard.CodeNoCard},
	{fault: "wrong_pin", state: StateOpened, reason: smartcard.CodeWrongPIN},
	{fault: "cancelled", state: StateOpened, reason: smartcard.CodeCancelled},
	{fault: "slow", state: StateSigned},
	{fault: "hang", state: StateSigning},
	{fault: "reset", state: StateOpened, reason: smartcard.CodeUnreachable},
	{fault: "garbage", state: StateOpened, reason: smartcard.CodeGarbage},
	{fault: "truncated", state: StateOpened, reason: smartcard.CodeGarbage},
	{fault: "wrong_signature", state: StateFailed, reason: reasonSignature},
	{fault: "swapped", state: StateFailed, reason: reasonSignature},
	{fault: "missing_item", state: StateFailed, reason: smartcard.CodeMismatch},
	{fault: "extra_item", state: StateFailed, reason: smartcard.CodeMismatch},
	{fault: "duplicate_item", state: StateFailed, reason: smartcard.CodeMismatch},
	{fault: "other_user", state: StateFailed, reason: reasonCertUser},
	{fault: "expired_certificate", state: StateFailed, reason: reasonCertExpired},
	{fault: "revoked_certificate", state: StateFailed, reason: reasonCertRevoked},
	{fault: "untrusted_chain", state: StateFailed, reason: reasonCertUntrusted},
	{fault: reasonWrongUser, state: StateCancelled, reason: reasonWrongUser, signIn: true,
		came: SignedIn{User: "555086689207", Name: "Dr Bob Made-Up", Level: 3, Least: 3}},
	{fault: reasonLevel, state: StateCancelled, reason: reasonLevel, signIn: true, came: SignedIn{User: sandboxPerson, Name: "Dr Alice Made-Up", Level: 2, Least: 3}},
	{fault: reasonSignInDenied, state: StateCancelled, reason: reasonSignInDenied, signIn: true},
})

func numbered(all []scenario) []scenario {
	for i := range all {
		all[i].token = fmt.Sprintf("00000000-0000-4000-8000-%012d", 101+i)
	}
	return all
}

// sandboxPerson is who is to sign in the sandbox.
const sandboxPerson = "555086689106"

// SandboxFaults are the names of the faults that the sandbox plays, with the token that stands for each.
func SandboxFaults() (names, tokens []string) {
	for _, s := range sandboxFaults {
		names, tokens = append(names, s.fault), append(tokens, s.token)
	}
	return names, tokens
}

// plain is the scenario without a fault.
var plain = scenario{token: SandboxToken, state: StateSigned}

// asked finds the scenario that a request's header chooses.
func asked(r *http.Request) (scenario, error) {
	name := r.Header.Get(sandboxFaultHeader)
	if name == "" {
		return plain, nil
	}
	for _, s := range sandboxFaults {
		if s.fault == name {
			return s, nil
		}
	}
	names, _ := SandboxFaults()
	return scenario{}, badRequest("fault", "The header X-Fault names no fault; use one of %s", strings.Join(names, ", "))
}

// scenarioOf finds the scenario of a token.
func scenarioOf(token string) (scenario, bool) {
	if token == SandboxToken {
		return plain, true
	}
	i := slices.IndexFunc(sandboxFaults, func(s scenario) bool { return s.token == token })
	if i < 0 {
		return scenario{}, false
	}
	return sandboxFaults[i], true
}

// scenarioNamed finds the scenario of the page's name for the session.
func scenarioNamed(id string) (scenario, bool) {
	for _, s := range append(sandboxFaults[:len(sandboxFaults):len(sandboxFaults)], plain) {
		if s.id() == id {
			return s, true
		}
	}
	return scenario{}, false
}

// id is what the page calls the session.
func (s scenario) id() string {
	if s.fault == "" {
		return sandboxID
	}
	return sandboxID + "-" + s.fault
}

// during is the state that is seen so long after signing began. Only the slow ones take time.
func (s scenario) during(since time.Duration) State {
	if s.fault == "slow" && since < sandboxSlow {
		return StateSigning
	}
	return s.state
}

// released says that the scenario's signatures can be fetched.
func (s scenario) released() bool { return s.state == StateSigned }
