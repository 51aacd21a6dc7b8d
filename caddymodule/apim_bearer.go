package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/oauth"
)

func init() {
	caddy.RegisterModule(Bearer{})
}

// Bearer lets through who shows an access token of this installation that fulfils its demands. Whose token it is
// becomes placeholders: {countersign.client}, which is {http.auth.user.id} too, {countersign.user},
// {countersign.level}, and {countersign.scopes} and {countersign.products}, separated by spaces. They are variables of
// the request too, such as {http.vars.countersign.client}.
type Bearer struct {
	Demands

	// Errors is the shape of refusals: json (the default), which is API Management's own; fhir, an
	// OperationOutcome; or signing, the Signing Service's.
	Errors Shape `json:"errors,omitempty"`

	door   *Door
	logger *slog.Logger
}

// Demands are what a token must stand for. Every one of them must be fulfilled.
type Demands struct {
	// Scopes are lists, of each of which the token must carry one scope.
	Scopes [][]string `json:"scopes,omitempty"`
	// Products are lists, of each of which the token's client must have one product.
	Products [][]string `json:"products,omitempty"`
	// User demands a user: a token that an application holds for itself is not enough.
	User bool `json:"user,omitempty"`
	// Levels are the levels of which the token must have one: level3 for applications, aal3 and its kind for users.
	Levels []string `json:"levels,omitempty"`
}

// CaddyModule returns the module's name for Caddy.
func (Bearer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.apim_bearer", New: func() caddy.Module { return new(Bearer) }}
}

// Provision finds the app whose tokens they are.
func (b *Bearer) Provision(ctx caddy.Context) error {
	b.logger = ctx.Slogger()
	var err error
	if b.door, err = NewDoor(ctx, b.Demands); err != nil {
		return fmt.Errorf("apim_bearer: %w", err)
	}
	if err := b.Errors.check(); err != nil {
		return fmt.Errorf("apim_bearer: %w", err)
	}
	return nil
}

// ServeHTTP refuses, or passes on with the token's placeholders.
func (b *Bearer) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return intake.Guard(w, r, func(w http.ResponseWriter, r *http.Request) error { return b.serve(w, r, next) })
}

func (b *Bearer) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	grant, err := b.door.Enter(r)
	if err != nil {
		refusal := asRefusal(err)
		b.logger.LogAttrs(r.Context(), refusal.level(), "access token refused",
			slog.String("reason", string(refusal.reason)), slog.String("client", grant.Client), slog.String("detail", refusal.detail))
		if refusal.stranger() && b.door.hold != nil {
			b.door.hold(w, r)
		}
		b.Errors.write(w, r, refusal)
		return nil
	}
	SetGrant(r, grant)
	intake.PassOn(r)
	return next.ServeHTTP(w, r)
}

// SetGrant tells the handlers that follow whose token it is.
func SetGrant(r *http.Request, grant oauth.Grant) {
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	replacer.Set("http.auth.user.id", grant.Client)
	for _, name := range []string{"countersign.client", "countersign.user", "countersign.level", "countersign.scopes", "countersign.products"} {
		value, _ := placeholder(grant, name)
		caddyhttp.SetVar(r.Context(), name, value)
	}
	replacer.Map(func(name string) (any, bool) {
		value, known := placeholder(grant, name)
		return value, known
	})
}

func placeholder(grant oauth.Grant, name string) (value string, known bool) {
	switch name {
	case "countersign.client":
		return grant.Client, true
	case "countersign.user":
		return grant.User, true
	case "countersign.level":
		return grant.Level, true
	case "countersign.scopes":
		return strings.Join(grant.Scopes, " "), true
	case "countersign.products":
		return strings.Join(grant.Products, " "), true
	}
	return "", false
}

// checker is what a door asks whose token it is.
type checker interface {
	Check(ctx context.Context, authorization string) (oauth.Grant, error)
}

// Door is the one check behind the directive, the provider and the services: whose token it is, and whether that
// is enough.
type Door struct {
	Demands
	checker checker
	hold    func(http.ResponseWriter, *http.Request) // before a stranger is refused; nil: at once
}

// NewDoor makes a door of the app's. It refuses demands that no token could fulfil.
func NewDoor(ctx caddy.Context, demands Demands) (*Door, error) {
	app, err := app(ctx)
	if err != nil {
		return nil, err
	}
	if err := demands.check(); err != nil {
		return nil, err
	}
	for _, names := range demands.Products {
		for _, name := range names {
			if app.Products[name] == nil {
				return nil, fmt.Errorf("product %s is not configured; add product %s { scopes … } to countersign", name, name)
			}
		}
	}
	return &Door{Demands: demands, checker: app.checker(), hold: app.HoldRefusal}, nil
}

// check refuses demands that no token fulfils.
func (d *Demands) check() error {
	for _, lists := range [][][]string{d.Scopes, d.Products} {
		for _, words := range lists {
			if len(words) == 0 || slices.Contains(words, "") {
				return errors.New("has a list of scopes or products with nothing in it, so it would refuse every token; name them, or take the list out")
			}
		}
	}
	ofUser := false
	for _, level := range d.Levels {
		if !slices.Contains(levels(), level) {
			return fmt.Errorf("level %q is not known, so it would refuse every token; use %s", level, strings.Join(levels(), ", "))
		}
		ofUser = ofUser || levelOf(level) > 0
	}
	if d.User && len(d.Levels) > 0 && !ofUser {
		return fmt.Errorf("demands a user and only levels of applications (%s), so it would refuse every token; use aal1, aal2 or aal3, or take user out",
			strings.Join(d.Levels, " "))
	}
	return nil
}

// levels are those that a token can have: an application's, and those of a user's sign-in.
func levels() []string {
	return []string{oauth.LevelApplication, oauth.LevelOf(1), oauth.LevelOf(2), oauth.LevelOf(3)}
}

// Enter returns whose token the request shows. A refusal for want of something comes with the grant.
func (d *Door) Enter(r *http.Request) (oauth.Grant, error) {
	shown := r.Header.Values("Authorization")
	if len(shown) > 1 { // what reads another one would take somebody else in
		return oauth.Grant{}, &oauth.BearerError{Code: oauth.BearerUnknown}
	}
	grant, err := d.checker.Check(r.Context(), strings.Join(shown, ""))
	if err != nil {
		return grant, err
	}
	if want := d.wanting(grant); want != "" {
		return grant, &insufficient{want}
	}
	return grant, nil
}

// insufficient is that a token is good and not enough.
type insufficient struct{ want string }

func (i *insufficient) Error() string { return "the access token is good, but not for this: " + i.want }

// wanting says what the grant lacks, or "".
func (d *Demands) wanting(grant oauth.Grant) string {
	for _, scopes := range d.Scopes {
		if !overlap(scopes, grant.Scopes) {
			return "it needs the scope " + strings.Join(scopes, " or ")
		}
	}
	for _, products := range d.Products {
		if !overlap(products, grant.Products) {
			return "its client needs the product " + strings.Join(products, " or ")
		}
	}
	switch {
	case d.User && grant.User == "":
		return "it needs a user"
	case len(d.Levels) > 0 && !slices.Contains(d.Levels, grant.Level):
		return "it needs the level " + strings.Join(d.Levels, " or ")
	}
	return ""
}

func overlap(wanted, held []string) bool {
	return slices.ContainsFunc(wanted, func(one string) bool { return slices.Contains(held, one) })
}

// asRefusal turns what a door returned into what is told.
func asRefusal(err error) refusal {
	if code := oauth.BearerCodeOf(err); code != "" {
		return refusal{status: http.StatusUnauthorized, reason: code, message: err.Error()}
	}
	if lacks, ok := errors.AsType[*insufficient](err); ok {
		return refusal{status: http.StatusForbidden, reason: reasonInsufficient, message: lacks.Error(), detail: lacks.want}
	}
	return refusal{status: http.StatusServiceUnavailable, reason: reasonUnavailable, detail: err.Error(),
		message: "access tokens cannot be checked at the moment; try again after the time in Retry-After"}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Bearer)(nil)
	_ caddyhttp.MiddlewareHandler = (*Bearer)(nil)
)
