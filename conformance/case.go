package conformance

import (
	"regexp"
	"strings"
	"time"
)

// Section groups the cases that are about one interface.
type Section string

// The sections.
const (
	Tokens     Section = "tokens"      // application-restricted access tokens (TOK-1 to TOK-3)
	UserTokens Section = "user-tokens" // user-restricted grants (TOK-5 to TOK-7)
	Signing    Section = "signing"     // the Signing Service (SIG-1, SIG-4, SIG-6)
	BaRS       Section = "bars"        // the BaRS proxy (BAR-1, BAR-5)
	KeySets    Section = "key-sets"    // published key sets (TOK-3)
)

// Sections returns all sections in the order in which they run.
func Sections() []Section { return []Section{Tokens, UserTokens, Signing, BaRS, KeySets} }

// Case is one row of the contract, a request and the answer that the rule demands.
type Case struct {
	Section Section
	Rule    string // its number in docs/contract, such as TOK-2.9
	Name    string // tells the cases of one rule apart; may be empty
	Ours    bool   // the rule is this product's own, so the real services may differ

	// Role is a client with a particular lack, such as one without a key. A target that names none skips the case.
	Role Role

	Before  []Request // sent first; each is expected to succeed
	Request Request
	Want    Want
}

// ID names a case: the rule and, where the rule has several cases, the name.
func (c Case) ID() string {
	if c.Name == "" {
		return c.Rule
	}
	return c.Rule + " " + c.Name
}

// Role is a client with a particular lack. The default is the target's own client.
type Role string

// The roles.
const (
	RoleRevoked   Role = "revoked"   // not approved or revoked
	RoleKeyless   Role = "keyless"   // has no public key registered
	RoleAway      Role = "away"      // its key set cannot be fetched
	RoleScopeless Role = "scopeless" // has no product with an application scope
)

// Roles returns all roles that a target may name.
func Roles() []Role { return []Role{RoleRevoked, RoleKeyless, RoleAway, RoleScopeless} }

// Request is what a case sends. In Path, Header, Query and Form {name} stands for a value of the target or for a member of
// the last answer; see Runner.
type Request struct {
	Method string // default: POST where there is a body, else GET
	Path   string // below the section's base URL
	Header map[string]string
	Query  map[string]string

	Form      map[string]string // the body, as a form
	Body      string            // the body, as it is
	Assertion *JWT              // the form's client_assertion
	Subject   *JWT              // the form's subject_token
	Signed    *JWT              // the body: a signing request

	// Bearer sends an access token: the target's own, or one that its client obtained.
	Bearer bool
}

// JWT is how a case's JWT differs from a valid one.
type JWT struct {
	Header map[string]any // changed members; nil removes one
	Claims map[string]any // the same; FromNow stands for a time
	Forged bool           // signed by another key
	Raw    string         // sent in place of a JWT
}

// FromNow is a NumericDate so long after the moment at which the request is made.
type FromNow time.Duration

// FromNowText is the same as a JSON string of digits.
type FromNowText time.Duration

// Want is the answer that a rule demands. What it does not name is not looked at.
type Want struct {
	Status int
	Header map[string]Matcher
	JSON   map[string]Matcher // by path, such as issue.0.details.coding.0.code
	Empty  bool               // no body
}

// Matcher says what a text has to be.
type Matcher struct {
	how  string
	text string
}

// Is demands exactly this text.
func Is(text string) Matcher { return Matcher{"", text} }

// Begins demands a text that begins so.
func Begins(text string) Matcher { return Matcher{"begins with ", text} }

// Matches demands a text that matches the pattern as a whole.
func Matches(pattern string) Matcher { return Matcher{"matches ", pattern} }

// The matchers without a text of their own.
var (
	Present = Matcher{how: "present"}
	Absent  = Matcher{how: "absent"}

	anything = Matches(".*") // present, and possibly empty
)

// String returns the demand as a report prints it.
func (m Matcher) String() string {
	if m.how == "" {
		return m.text
	}
	return m.how + m.text
}

// fits reports whether a text that was found, or not, is what is demanded.
func (m Matcher) fits(text string, found bool) bool {
	switch m {
	case Absent:
		return !found
	case Present:
		return found && text != ""
	}
	switch {
	case !found:
		return false
	case m.how == "":
		return text == m.text
	case strings.HasPrefix(m.how, "begins"):
		return strings.HasPrefix(text, m.text)
	}
	return regexp.MustCompile(`^(?:` + m.text + `)$`).MatchString(text)
}

// quote returns a pattern that matches a text in which ".*" alone keeps its meaning.
func quote(text string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(text), `\.\*`, `.*`)
}
