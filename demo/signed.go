package demo

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"net/http"
	"strings"
	"unicode"

	"github.com/seed-dd2befc3/countersign/client"
)

// result is the body of the page with the signatures.
type result struct {
	Rows            []row
	Verified, Total int
	Failure         string // why the whole answer cannot be used, or empty
	Algorithm       string
	Certificate     *certificate // nil: unreadable
}

type row struct {
	item
	Verified bool
	Reason   string
}

// certificate is what is shown of the signer's certificate.
type certificate struct {
	Subject, Issuer, From, Until string
	Bits                         int // 0: not an RSA key
}

// signed answers GET /signed: the way back from the signing page (SIG-3.1).
func (d *Demo) signed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	query := r.URL.Query()
	state := query.Get("state")
	b := d.batches.find(state, cookieValue(r, d.cookieName(state)))
	if b == nil || !same(b.token, query.Get("token")) {
		d.showProblem(w, http.StatusNotFound, "This demo does not know this request",
			problem{Text: "It was not started in this browser, or it is more than an hour old, or the demo has been restarted since. Start again."})
		return
	}
	if back := client.ReadReturn(query); back.Error != "" {
		d.showProblem(w, http.StatusOK, "The prescriptions are not signed", problem{Text: textOf(back), Reason: plain(cmp.Or(back.Reason, query.Get("error_description")))})
		return
	}
	at, err := d.placeOf(r)
	if err != nil {
		d.showProblem(w, http.StatusMisdirectedRequest, "This demo is not set up for this address", problem{Text: err.Error()})
		return
	}
	k := d.key.Load()
	if k == nil {
		d.wait(w, http.StatusServiceUnavailable)
		return
	}
	body, err := d.fetch(r.Context(), d.client(k, at), b)
	if err != nil {
		d.serviceProblem(r.Context(), w, "The signatures could not be fetched", err)
		return
	}
	title := "Your prescriptions are signed"
	if body.Failure != "" || body.Verified != body.Total {
		title = "The signatures are not right"
	}
	d.show(w, http.StatusOK, d.pages.result, title, body)
}

// fetch gets the signatures of a batch and verifies each one over the prescription, made again.
func (d *Demo) fetch(ctx context.Context, c *client.Client, b *batch) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	response, err := c.Fetch(ctx, b.token)
	if err != nil {
		return result{}, err
	}
	items, err := b.items()
	if err != nil {
		return result{}, err
	}
	out := result{Rows: make([]row, len(items)), Total: len(items), Algorithm: b.algorithm}
	verdicts, err := client.Verify(b.algorithm, payloads(items), response)
	if err != nil {
		out.Failure = err.Error()
	}
	for i, it := range items {
		out.Rows[i] = row{item: it, Reason: "it was not checked"}
		if i < len(verdicts) {
			out.Rows[i].Verified, out.Rows[i].Reason = verdicts[i].Verified, verdicts[i].Reason
		}
		if out.Rows[i].Verified {
			out.Verified++
		}
	}
	if leaf, err := response.Leaf(); err == nil {
		out.Certificate = describe(leaf)
	}
	return out, nil
}

func describe(leaf *x509.Certificate) *certificate {
	const day = "2 January 2006"
	c := &certificate{
		Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
		From: leaf.NotBefore.UTC().Format(day), Until: leaf.NotAfter.UTC().Format(day),
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok {
		c.Bits = key.N.BitLen()
	}
	return c
}

// textOf explains the error of the way back, by its reason if that says more.
func textOf(back client.Return) string {
	switch back.Reason {
	case client.ReasonWrongUser:
		return "Somebody signed in who is not the person these prescriptions are for. Nothing was signed."
	case client.ReasonDeclined:
		return "You found something wrong and gave the request back. Nothing was signed."
	case client.ReasonInsufficientLevel:
		return "The sign-in was not strong enough to sign prescriptions with. Nothing was signed."
	case client.ReasonAccessDenied:
		return "The sign-in was refused, so nobody could sign. Nothing was signed."
	case client.ReasonSignInFailed:
		return "The sign-in did not work, so nobody could sign. Nothing was signed."
	}
	switch back.Error {
	case "access_denied":
		return "You cancelled signing. Nothing was signed."
	case "request_expired":
		return "The request was not signed in time. Nothing was signed."
	case "server_error":
		return "The signatures could not be made, or did not pass the Signing Service's checks. Nothing was handed over."
	}
	return "The Signing Service could not complete the request. Nothing was signed."
}

// plain makes text from the URL safe to show: short, and without control characters.
func plain(text string) string {
	if len(text) > 200 {
		text = text[:200]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

func cookieValue(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}
