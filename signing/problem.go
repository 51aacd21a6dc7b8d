package signing

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/seed-dd2befc3/countersign/signing/page"
)

// wantsPage says whether a person's browser asks, which shows what it gets. Programs get JSON, and so does the page's
// script.
func wantsPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(accept, "text/html") && !strings.Contains(accept, "application/json")
}

// problems are what a person is told instead of an error's message, by its code.
var problems = map[string]page.Problem{
	"sign_in_state": {
		Heading: "This sign-in is over",
		Text:    "It took too long, it was used already, or it began in another browser. Nothing was signed.",
		Next:    "Go back to the system that sent you here, and open the request from there. If it is still open in another tab, go on there.",
	},
	"not_found": {
		Heading: "This signing request cannot be found",
		Text:    "The link may be incomplete, or the request may have ended some time ago.",
		Next:    "Go back to the system that sent you here and start again.",
	},
	"unavailable": {
		Heading: "Signing is not possible at the moment",
		Text:    "The service, or the place where people sign in, cannot be reached right now. Nothing was signed, and your request is still there.",
		Next:    "Wait a moment and try again.",
	},
	"no_endpoint": {
		Heading: "There is no such page",
		Text:    "The address is not one of the signing service's.",
		Next:    "Go back to the system that sent you here.",
	},
}

// writeProblem tells a person what writeError tells a program.
func (o *Options) writeProblem(w http.ResponseWriter, r *http.Request, e *Error) {
	told := problems[e.Code]
	told.Heading = cmp.Or(told.Heading, "Something went wrong")
	told.Text = cmp.Or(told.Text, e.Message)
	told.Next = cmp.Or(told.Next, "Go back to the system that sent you here and try again. If it happens again, tell your service desk.")
	told.Reference = w.Header().Get(headerRequestID)
	if base, err := o.BaseURL(r); err == nil { // else the address is not the service's, and the page has no style
		told.Base = base
	}
	if e.back != "" {
		told.Back, told.BackTo = e.back, "Back to the request"
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", page.ProblemCSP)
	h.Set("X-Frame-Options", "DENY")
	setErrorHeaders(w, e)
	w.WriteHeader(e.Status)
	if r.Method != http.MethodHead {
		_ = page.RenderProblem(w, told) // a caller that has gone needs no answer
	}
}
