package demo

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

const (
	maxForm      = 4 << 10 // bytes
	retryAfter   = "2"     // seconds: about as long as making a key takes
	exchangeTime = 30 * time.Second
	exampleSub   = "555086689106" // the specification's example of an SDS user id
)

// order is what the person ordered.
type order struct {
	Sub       string // SDS user id of the signer
	Algorithm string
	Mock      bool // complete without a click
	size      int
}

// orderForm is the body of the first page.
type orderForm struct {
	order
	Sizes    []int
	SubError string
	Errors   []string // not about a single field
}

func sizes() []int { return []int{1, 3, 25, 250} }

// index answers GET /.
func (d *Demo) index(w http.ResponseWriter, _ *http.Request) {
	if d.key.Load() == nil {
		d.wait(w, http.StatusOK)
		return
	}
	d.showForm(w, http.StatusOK, orderForm{order: order{Sub: exampleSub, Algorithm: client.RS256}})
}

// wait says that the key is being made. Reloading the page loses nothing, so the header Refresh does it.
func (d *Demo) wait(w http.ResponseWriter, status int) {
	w.Header().Set("Refresh", retryAfter+"; url=./")
	w.Header().Set("Retry-After", retryAfter)
	d.show(w, status, d.pages.waiting, "Getting ready", nil)
}

func (d *Demo) showForm(w http.ResponseWriter, status int, form orderForm) {
	form.Sizes = sizes()
	title := "Sign example prescriptions"
	if form.SubError != "" || len(form.Errors) > 0 {
		title = "Error: " + title
	}
	d.show(w, status, d.pages.index, title, form)
}

// sign answers POST /sign.
func (d *Demo) sign(w http.ResponseWriter, r *http.Request) {
	at, err := d.placeOf(r)
	if err != nil {
		d.showProblem(w, http.StatusMisdirectedRequest, "This demo is not set up for this address", problem{Text: err.Error()})
		return
	}
	if !sameOrigin(r, at.origin) {
		d.showProblem(w, http.StatusForbidden, "This request came from another site",
			problem{Text: "Nothing was signed. Start from the demo's own page."})
		return
	}
	k := d.key.Load()
	if k == nil {
		d.wait(w, http.StatusServiceUnavailable)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := readOrder(r)
	if form.SubError != "" || len(form.Errors) > 0 {
		d.showForm(w, http.StatusBadRequest, form)
		return
	}
	b, address, err := d.request(r.Context(), d.client(k, at), form.order)
	if err != nil {
		d.serviceProblem(r.Context(), w, "The Signing Service did not take the request", err)
		return
	}
	d.batches.add(b)
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the demo is reached by https
		Name:     d.cookieName(b.state),
		Value:    b.secret,
		MaxAge:   int(batchLife / time.Second),
		Secure:   strings.HasPrefix(at.origin, "https:"),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // needed on the way back from the signing page's site
	})
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

// readOrder reads the form. The result holds any errors, with what was typed.
func readOrder(r *http.Request) orderForm {
	if err := r.ParseForm(); err != nil {
		return orderForm{order: order{Algorithm: client.RS256}, Errors: []string{"The form could not be read. Try again."}}
	}
	form := orderForm{order: order{
		Sub:       strings.ReplaceAll(r.PostForm.Get("sub"), " ", ""),
		Algorithm: r.PostForm.Get("algorithm"),
		Mock:      r.PostForm.Get("mock") == "true",
	}}
	if !regexp.MustCompile(`^[0-9]{12}$`).MatchString(form.Sub) {
		form.Sub = form.Sub[:min(len(form.Sub), 64)]
		form.SubError = "Enter a user id of 12 digits, such as " + exampleSub
	}
	if form.Algorithm != client.RS256 && form.Algorithm != client.RS1 {
		form.Algorithm = client.RS256
		form.Errors = append(form.Errors, "Choose RS256 or RS1")
	}
	size, err := strconv.Atoi(r.PostForm.Get("count"))
	if err != nil || !slices.Contains(sizes(), size) {
		form.Errors = append(form.Errors, "Choose how many prescriptions to sign")
	}
	form.size = size
	return form
}

// request makes a batch and sends it to the service. It returns the browser's next URL.
func (d *Demo) request(ctx context.Context, c *client.Client, o order) (*batch, string, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	b, err := newBatch(d.options.Rand, o, d.options.Now())
	if err != nil {
		return nil, "", err
	}
	items, err := b.items()
	if err != nil {
		return nil, "", err
	}
	jwt, err := c.Prepare(b.sub, b.algorithm, payloads(items))
	if err != nil {
		return nil, "", err
	}
	ticket, err := d.send(ctx, c, jwt, b.state)
	if err != nil {
		return nil, "", err
	}
	b.token = ticket.Token
	if o.Mock {
		ticket.RedirectURI += "&mock=true" // its query always has the token
	}
	return b, ticket.RedirectURI, nil
}

// How the demo repeats a request: like any client that got no answer, or a 503.
const (
	sendTries = 10
	sendPause = time.Second
)

// send sends a request until it is answered. The service may have accepted it although no answer came: the same JWT
// gives the same token (SIG-1.15). A service that has just started may not have this client's keys yet, and answers
// 503.
func (d *Demo) send(ctx context.Context, c *client.Client, jwt, state string) (client.Ticket, error) {
	for try := 1; ; try++ {
		ticket, err := c.Send(ctx, jwt, state)
		var refused *client.Error
		later := errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable
		if err == nil || try == sendTries || (!later && (try > 1 || !errors.Is(err, client.ErrUnreachable))) {
			return ticket, err
		}
		if later {
			select {
			case <-ctx.Done():
				return ticket, err
			case <-time.After(sendPause):
			}
		}
	}
}

// serviceProblem shows that the service refused, or that there was no answer.
func (d *Demo) serviceProblem(ctx context.Context, w http.ResponseWriter, title string, err error) {
	d.log.LogAttrs(ctx, slog.LevelWarn, "the demo's call to the Signing Service failed", slog.Any("error", err))
	body := problem{Text: "Nothing was signed. Try again; if the problem persists, contact the operator of this site."}
	switch {
	case errors.As(err, &body.Service):
		body.Text = "The Signing Service answered:"
	case errors.Is(err, client.ErrUnreachable):
		body.Text = "The Signing Service did not answer. Try again in a minute."
	}
	d.showProblem(w, http.StatusBadGateway, title, body)
}
