package conformance

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Outcome is what became of a case.
type Outcome string

// The outcomes.
const (
	Same    Outcome = "same"    // the answer is as the rule demands
	Differs Outcome = "differs" // it is not
	Skipped Outcome = "skipped" // the target lacks what the case needs
	Failed  Outcome = "failed"  // the case could not be run: no connection, or a request before it was refused
)

// Result is a case with its outcome.
type Result struct {
	Section     Section      `json:"section"`
	Rule        string       `json:"rule"`
	Name        string       `json:"name,omitempty"`
	Ours        bool         `json:"ours,omitempty"`
	Outcome     Outcome      `json:"outcome"`
	Differences []Difference `json:"differences,omitempty"`
	Why         string       `json:"why,omitempty"` // of a case that was skipped or failed

	answer answer
}

// ID is the case's.
func (r Result) ID() string { return Case{Rule: r.Rule, Name: r.Name}.ID() }

// Options limit a run.
type Options struct {
	Sections  []Section // empty: all
	SkipOurs  bool      // leave out the rules that are this product's own
	PerSecond float64   // requests a second; default 3

	Now func() time.Time // default time.Now
}

const (
	defaultPerSecond = 3
	answerWithin     = 40 * time.Second
	maxAnswer        = 1 << 20
	strangersBits    = 2048
)

// run is one run against a target.
type run struct {
	target   *Target
	client   *http.Client
	pace     *rate.Limiter
	now      func() time.Time
	stranger *rsa.PrivateKey // a key that nobody has registered
	bearer   string          // that the client obtained; "" before
}

// Run runs the cases against a target and returns their results in the order of the cases. The error is of the target or
// of the context; a case that could not be run is a result.
func Run(ctx context.Context, target Target, cases []Case, o Options) ([]Result, error) {
	if err := target.Check(); err != nil {
		return nil, err
	}
	stranger, err := rsa.GenerateKey(rand.Reader, strangersBits)
	if err != nil {
		return nil, err
	}
	target.User = cmp.Or(target.User, "555086689106")
	r := &run{
		target: &target, pace: rate.NewLimiter(rate.Limit(cmp.Or(o.PerSecond, defaultPerSecond)), 1), now: o.Now, stranger: stranger,
		client: &http.Client{Timeout: answerWithin, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if r.now == nil {
		r.now = time.Now
	}
	if target.HTTP != nil {
		r.client.Transport, r.client.Jar = target.HTTP.Transport, target.HTTP.Jar
	}
	var results []Result
	for _, c := range cases {
		if len(o.Sections) > 0 && !slices.Contains(o.Sections, c.Section) || o.SkipOurs && c.Ours {
			continue
		}
		if err := ctx.Err(); err != nil {
			return results, err
		}
		results = append(results, r.try(ctx, c))
	}
	return results, nil
}

// try runs one case.
func (r *run) try(ctx context.Context, c Case) Result {
	result := Result{Section: c.Section, Rule: c.Rule, Name: c.Name, Ours: c.Ours}
	if result.Why = r.lacks(c); result.Why != "" {
		result.Outcome = Skipped
		return result
	}
	values := r.values()
	if len(c.Before) > 0 && c.Section == Tokens {
		made, err := r.assertion(JWT{}, r.target.Client) // one for all requests of the case
		if err != nil {
			result.Outcome, result.Why = Failed, err.Error()
			return result
		}
		values["assertion"] = made
	}
	for _, before := range c.Before {
		got, err := r.send(ctx, c, before, values)
		if err == nil && got.status >= http.StatusBadRequest {
			err = fmt.Errorf("the request before it was answered %d: %.200s", got.status, got.body)
		}
		if err != nil {
			result.Outcome, result.Why = Failed, err.Error()
			return result
		}
		got.members(values)
	}
	got, err := r.send(ctx, c, c.Request, values)
	if err != nil {
		result.Outcome, result.Why = Failed, err.Error()
		return result
	}
	result.answer, result.Outcome = got, Same
	if result.Differences = c.Want.compare(got); len(result.Differences) > 0 {
		result.Outcome = Differs
	}
	return result
}

// lacks returns what the target lacks for a case; "" where it has all.
func (r *run) lacks(c Case) string {
	t := r.target
	switch {
	case t.base(c.Section) == "":
		return "no URL is given for the section " + string(c.Section)
	case c.Role != "" && t.Roles[c.Role] == "":
		return fmt.Sprintf("no client is given that is %s", c.Role)
	case c.Section == UserTokens && (t.Client == "" || t.Secret == "" || t.RedirectURI == ""):
		return "no client secret or redirect URI is given"
	case c.Section == BaRS && t.Value == "":
		return "no BaRS target is given"
	}
	return r.lacksKey(c)
}

// lacksKey returns what the target lacks for the JWTs and the access token of a case.
func (r *run) lacksKey(c Case) string {
	needsKey, needsBearer := c.Section == Tokens && len(c.Before) > 0, false
	for _, request := range append(slices.Clone(c.Before), c.Request) {
		needsKey = needsKey || request.mints()
		needsBearer = needsBearer || request.Bearer && c.Section != Signing // a Signing Service may be open
	}
	t := r.target
	hasKey := t.Key != nil && t.KID != "" && t.Client != ""
	switch {
	case needsKey && !hasKey:
		return "no client id, kid or key is given"
	case needsBearer && t.Bearer == "" && (!hasKey || t.Tokens == ""):
		return "no access token is given, nor a key and a token service to obtain one"
	}
	return ""
}

// mints reports whether a request has a JWT that the target's key signs.
func (q Request) mints() bool {
	for _, made := range []*JWT{q.Assertion, q.Subject, q.Signed} {
		if made != nil && made.Raw == "" {
			return true
		}
	}
	return false
}

// values are what stands for {name} in a request.
func (r *run) values() map[string]string {
	t := r.target
	identifier, _ := json.Marshal(map[string]string{"system": t.System, "value": t.Value}) // of two strings
	unknown, _ := json.Marshal(map[string]string{"system": t.System, "value": "no-such-service"})
	return map[string]string{
		"client": t.Client, "secret": t.Secret, "redirect_uri": t.RedirectURI, "apikey": t.APIKey,
		"target": base64.StdEncoding.EncodeToString(identifier), "unknown_target": base64.StdEncoding.EncodeToString(unknown),
	}
}

// send sends one request of a case.
func (r *run) send(ctx context.Context, c Case, q Request, values map[string]string) (answer, error) {
	request, err := r.build(ctx, c, q, values)
	if err != nil {
		return answer{}, err
	}
	return r.exchange(request)
}

func (r *run) exchange(request *http.Request) (answer, error) {
	if err := r.pace.Wait(request.Context()); err != nil {
		return answer{}, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer: %w", err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}, nil
}

// build makes the request of a case.
func (r *run) build(ctx context.Context, c Case, q Request, values map[string]string) (*http.Request, error) {
	fill := func(text string) string {
		for name, value := range values {
			text = strings.ReplaceAll(text, "{"+name+"}", value)
		}
		return text
	}
	body, mediaType, err := r.body(c, q, fill)
	if err != nil {
		return nil, err
	}
	method := q.Method
	if method == "" {
		method = http.MethodGet
		if body != "" || mediaType != "" {
			method = http.MethodPost
		}
	}
	query := url.Values{}
	for name, value := range q.Query {
		query.Set(name, fill(value))
	}
	address := strings.TrimSuffix(r.target.base(c.Section), "/") + fill(q.Path)
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	for name, value := range q.Header {
		request.Header.Set(name, fill(value))
	}
	if q.Bearer {
		token, err := r.accessToken(ctx)
		if err != nil {
			return nil, err
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return request, nil
}

// body makes the body of a request, and the media type that goes with it where it is not one that the case gives.
func (r *run) body(c Case, q Request, fill func(string) string) (body, mediaType string, err error) {
	if q.Signed != nil {
		body, err = r.signed(*q.Signed)
		return body, "text/plain", err
	}
	if q.Form == nil && q.Assertion == nil && q.Subject == nil {
		return fill(q.Body), "", nil
	}
	form := url.Values{}
	for name, value := range q.Form {
		form.Set(name, fill(value))
	}
	if q.Assertion != nil {
		client := r.target.Client
		if c.Role != "" {
			client = r.target.Roles[c.Role]
		}
		made, err := r.assertion(*q.Assertion, client)
		if err != nil {
			return "", "", err
		}
		form.Set("client_assertion", made)
	}
	if q.Subject != nil {
		made, err := r.subject(*q.Subject)
		if err != nil {
			return "", "", err
		}
		form.Set("subject_token", made)
	}
	return form.Encode(), "application/x-www-form-urlencoded", nil
}

// accessToken returns the target's access token, or obtains one for its client, once. It is empty where there is no token
// service, or no key for it.
func (r *run) accessToken(ctx context.Context) (string, error) {
	if r.target.Bearer != "" || r.bearer != "" || r.target.Tokens == "" || r.target.Key == nil {
		return cmp.Or(r.target.Bearer, r.bearer), nil
	}
	got, err := r.send(ctx, Case{Section: Tokens}, granted(JWT{}), r.values())
	if err != nil {
		return "", fmt.Errorf("obtaining an access token: %w", err)
	}
	values := map[string]string{}
	got.members(values)
	if r.bearer = values["access_token"]; r.bearer == "" {
		return "", errors.Join(errors.New("obtaining an access token"), fmt.Errorf("answered %d: %.200s", got.status, got.body))
	}
	return r.bearer, nil
}
