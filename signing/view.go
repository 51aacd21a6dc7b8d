package signing

import (
	"net/url"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

// view is a session as the page sees it.
type view struct {
	ID          string     `json:"id"`
	State       State      `json:"state"`
	Client      string     `json:"client"`
	Sub         string     `json:"sub"`
	Name        string     `json:"name,omitempty"` // of Sub, as the OpenID provider tells it
	Algorithm   string     `json:"algorithm"`
	Mock        bool       `json:"mock"`
	Environment string     `json:"environment"`
	Autostart   bool       `json:"autostart"` // only a mock session signs without a press
	Total       int        `json:"total"`
	Signed      int        `json:"signed"`
	Marks       string     `json:"marks"` // one character an item: "." pending, "s" signed
	Items       []itemView `json:"items,omitempty"`
	Expires     time.Time  `json:"expires"`
	Tries       int        `json:"tries"`
	TriesLeft   int        `json:"triesLeft"`
	Display     string     `json:"display,omitempty"` // whether the page asks for prescriptions to show: optional, required
	Ways        []wayView  `json:"ways,omitempty"`
	Order       *order     `json:"order,omitempty"` // what the page hands to an agent on the person's machine
	Reason      *Reason    `json:"reason,omitempty"`
	Local       bool       `json:"local,omitzero"`        // while it is signing: a page drives the agent on the person's machine
	Declined    int        `json:"declined,omitzero"`     // items that the person found something wrong with
	SignedOut   bool       `json:"signedOut,omitzero"`    // nobody has signed in here as Sub, or not since: the page shows no items
	RedirectURI string     `json:"redirectUri,omitempty"` // once it is over
}

// wayView is one way to a card, in the order in which the page tries them.
type wayView struct {
	Local bool `json:"local"` // the agent is on the person's own machine
}

type itemView struct {
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

// viewOf is the session as the browser sees it that has this claim on it.
func (s *Service) viewOf(of *session, held claim) view {
	routes, mock := s.routesFor(of)
	over := of.State.Over()
	seen := view{
		ID: of.ID, State: of.State, Client: s.clientName(of.Client), Sub: of.Sub, Algorithm: of.Algorithm,
		Mock: mock, Environment: s.Environment, Autostart: of.Mock && mock,
		Total: of.Total, Signed: of.signedItems(), Marks: of.Marks,
		Expires: of.Deadline.UTC(), Tries: of.Tries, TriesLeft: max(s.Tries-of.Tries, 0),
		Name: held.openName(of), Declined: len(of.Declined),
		Local: of.State == StateSigning && of.Way != "",
	}
	if !over {
		seen.Display = s.displayMode()
	}
	for _, route := range routes {
		seen.Ways = append(seen.Ways, wayView{Local: route.local()})
	}
	if seen.Marks == "" {
		seen.Marks = pendingMarks(of.Total)
	}
	switch {
	case of.State == StateExpired: // to the person that is what counts, whoever signed in before
		seen.Reason = reasonFor(reasonExpired)
	case of.Reason != "":
		seen.Reason = reasonOf(of)
	}
	if seen.Reason != nil {
		seen.Reason.Retry = seen.Reason.Retry && !over
	}
	if over {
		seen.RedirectURI = s.wayBack(of, held.token(of))
	}
	return seen
}

func itemViews(items []item) []itemView {
	views := make([]itemView, len(items))
	for i, it := range items {
		views[i] = itemView{ID: it.ID, Digest: digestOf(it.Payload)}
	}
	return views
}

// oauthErrors tells the client system what became of a session that is not signed, in the words OAuth has for
// it where it has some (RFC 6749 §4.1.2.1).
var oauthErrors = map[State]string{
	StateCancelled: "access_denied",
	StateFailed:    "server_error",
	StateExpired:   "request_expired",
}

// wayBack is the client's callback with the token and the state as it came, and with what went wrong where
// something did (SIG-3.1, SIG-3.3). Without a client, which a changed configuration can bring
// about, there is none.
func (s *Service) wayBack(of *session, token string) string {
	callback := s.Clients[of.Client].Callback
	if callback == "" {
		return ""
	}
	joint := "?"
	if strings.Contains(callback, "?") {
		joint = "&"
	}
	back := callback + joint + "token=" + token
	if of.Carried != "" {
		back += "&" + of.Carried
	}
	code := oauthErrors[of.State]
	if of.Reason == reasonDeclined {
		code = client.ReasonDeclined
	}
	if code != "" {
		reason := url.QueryEscape(of.Reason)
		back += "&error=" + code + "&error_description=" + reason + "&" + client.ReturnReason + "=" + reason
	}
	return back
}
