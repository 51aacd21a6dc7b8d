package signing

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
)

// minModulus is the least length in bytes of a client's RSA modulus: 4096 bits, and 4095-bit ones that are
// registered as such (SIG-1.10).
const minModulus = 512

// accepted is the answer to a signing request.
type accepted struct {
	Token       string `json:"token"`
	RedirectURI string `json:"redirectUri"`
}

// postRequest takes a signing request. Its checks stand in the contract's order, and the cheap ones come
// first; nothing of the payloads is decoded before the signature holds (SIG-1.17, SIG-1.18).
func (s *Service) postRequest(w http.ResponseWriter, r *http.Request) error {
	caller, err := s.Access(r)
	if err != nil {
		return err
	}
	base, err := s.BaseURL(r)
	if err != nil {
		return err
	}
	state, err := stateOf(r.URL.RawQuery)
	if err != nil {
		return err
	}
	body, place, err := s.takeBody(w, r, caller.Client != "")
	if err != nil {
		return err
	}
	defer place.Release()
	work, err := s.Working.Take(w, r)
	if err != nil {
		return unavailable("as many requests are being worked on as may be")
	}
	defer work.Release()

	jws, read, err := readJWS(body)
	if err != nil {
		return err
	}
	client, err := s.admit(work, place, jws, read, caller) //nolint:contextcheck // a place's context is the request's, and ends when the place is given up
	if err != nil {
		return err
	}
	arrived := &arrival{jws: jws, claims: read, key: requestKey(read.iss, jws), state: state, base: base}
	answer, err := s.repeated(r.Context(), arrived)
	if err == nil && answer == nil {
		answer, err = s.accept(r.Context(), arrived, client)
	}
	if err != nil {
		return ofClient(err, read.iss)
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "signing request accepted",
		slog.String("client", read.iss), slog.String("algorithm", read.algorithm), slog.String("session", answer.session),
		slog.Int("items", answer.items), slog.Bool("repeated", answer.items == 0),
		slog.String("request_id", w.Header().Get(headerRequestID)),
		slog.String("correlation_id", w.Header().Get(headerCorrelationID)))
	writeJSON(w, http.StatusOK, answer.accepted)
	return nil
}

// arrival is a request that its client has signed.
type arrival struct {
	*claims
	jws         *jwks.Token
	key         string // where the store remembers it
	state, base string
}

// ticket is an answer, with what the log says of it.
type ticket struct {
	accepted
	session string
	items   int // of a session that was made now; zero for a request that was known
}

// readJWS takes the body apart, strictly, without any cryptography: pattern, base64url, JSON, header, and who it
// says it is from.
func readJWS(body []byte) (*jwks.Token, *claims, error) {
	jws, err := jwks.Parse(body)
	if err != nil {
		return nil, nil, asMalformed(err).ofBody(body)
	}
	read, err := readClaims(jws)
	if err != nil {
		return nil, nil, err
	}
	if err := checkHeader(jws.Header); err != nil {
		return nil, nil, err
	}
	if read.iss, err = requiredString("iss", read.raw.Iss); err != nil {
		return nil, nil, err
	}
	return jws, read, nil
}

// asMalformed words what is wrong with a JWS before its signature matters. Nothing of the body is echoed.
func asMalformed(err error) *Error {
	var e *jwks.Error
	if errors.As(err, &e) && e.Code != jwks.CodeMalformed {
		return badRequest("malformed", "The request is not a JWT as it has to be: %s", e.Text).
			because("form of the JWT", "a JWS in compact form, with strict JSON in it", e.Text)
	}
	return badRequest("malformed", `Invalid request payload: "value" fails to match the required pattern: /%s/`, jwks.Pattern).
		because("form of the body", "a JWS in compact form: three parts in base64url, joined by dots, and nothing else", "something else")
}

// ofBody says so where the body is the JWT as JSON, in quotes: many programs send texts like that. The message is the real
// service's and stays (SIG-1.36).
func (e *Error) ofBody(body []byte) *Error {
	inside := bytes.TrimSpace(body)
	if len(inside) < 2 || inside[0] != '"' || inside[len(inside)-1] != '"' {
		return e
	}
	e.Hint = "The body is a JSON string: it begins and ends with a quotation mark. Send the JWT alone, as text, without JSON.stringify or the like"
	return e.because("form of the body", "the JWT alone", "a JSON string, in quotation marks")
}

// checkHeader holds the JOSE header to what is allowed (SIG-1.22, SIG-1.23).
func checkHeader(h jwks.Header) error {
	const prefix = "JWT header is not valid. "
	switch {
	case h.Alg == "":
		return badRequest("alg", prefix+`"alg" is required`).because("header alg", "RS512", "nothing")
	case h.Alg != "RS512":
		return badRequest("alg", prefix+`"alg" must be [RS512]`).because("header alg", "RS512", quoted(h.Alg))
	case h.KID == "":
		return badRequest("kid", prefix+`"kid" is required`).because("header kid", "the kid of a registered key", "nothing")
	case h.Typ == "":
		return badRequest("typ", prefix+`"typ" is required`).because("header typ", "JWT", "nothing")
	case !strings.EqualFold(h.Typ, "JWT"):
		return badRequest("typ", prefix+`"typ" must be [JWT]`).because("header typ", "JWT", quoted(h.Typ))
	}
	return nil
}

// admit authenticates a request that has arrived, which has its places for good then. A key set may be waited for until
// one of them has to be given up for others.
func (s *Service) admit(work, place *intake.Taken, jws *jwks.Token, read *claims, caller Caller) (Client, error) {
	ctx, cancel := context.WithCancelCause(work.Context())
	defer cancel(context.Canceled)
	defer context.AfterFunc(place.Context(), func() { cancel(context.Cause(place.Context())) })()
	ctx, end := s.Span(ctx, "countersign authenticate")
	client, err := s.authenticate(ctx, jws, read, caller)
	end(err)
	if err == nil {
		err = cmp.Or(work.Prove(), place.Prove())
	}
	if err != nil && (work.GivenUp() || place.GivenUp()) {
		return Client{}, unavailable(share.ErrGivenUp.Error())
	}
	return client, err
}

// authenticate proves that the JWT was signed with a key of the client it names. A stranger gets one answer for
// every client and kid that is not, and causes no fetch.
func (s *Service) authenticate(ctx context.Context, jws *jwks.Token, read *claims, caller Caller) (Client, error) {
	refused := func(check, expected, got string) error {
		return failure(http.StatusUnauthorized, "kid",
			`No key is registered for this "iss" and "kid"; check both against what the service's operator registered`).
			because(check, expected, got)
	}
	client, known := s.Clients[read.iss]
	if !known {
		return Client{}, refused("claim iss", "the id of a client that is configured and not revoked", quoted(read.iss))
	}
	if err := s.authenticateClient(ctx, jws, read, caller, refused); err != nil {
		return Client{}, ofClient(err, read.iss)
	}
	return client, nil
}

// authenticateClient proves that a client that is known has signed the JWT, and has got the access token that came
// with it.
func (s *Service) authenticateClient(ctx context.Context, jws *jwks.Token, read *claims, caller Caller,
	refused func(check, expected, got string) error,
) error {
	kid := jws.Header.KID
	key, err := s.Keys.Key(ctx, read.iss, kid)
	switch {
	case errors.Is(err, jwks.ErrUnknownKID), errors.Is(err, jwks.ErrNoKeys), errors.Is(err, jwks.ErrUnknownClient):
		return refused("header kid", "the kid of a key of this client", quoted(kid)+": "+err.Error())
	case err != nil:
		e := unavailable(err.Error()).because("key set of the client", "a key set that can be read", "none")
		e.Message = "The key set of this client cannot be read at the moment; check its URL, and send the request again"
		return e
	case key.ModulusBytes() < minModulus:
		return refused("size of the key", "4096 bits", fmt.Sprintf("%d bits, kid %s", key.Bits(), quoted(kid)))
	}
	if err := jws.Verify(key); err != nil {
		return failure(http.StatusUnauthorized, "signature",
			"The JWT's signature does not verify with the key registered for its kid").
			because("signature of the JWT", "one by the key with kid "+quoted(kid)+" and the thumbprint "+key.Thumbprint(),
				"a signature by another key, or over other bytes")
	}
	if caller.Client != "" && caller.Client != read.iss {
		return failure(http.StatusUnauthorized, "access_token",
			`The access token belongs to another client than the JWT's "iss"`).
			because("client of the access token", read.iss, caller.Client)
	}
	if caller.User != "" && caller.User != read.sub { // SIG-1.35
		return failure(http.StatusUnauthorized, "access_token",
			`The access token belongs to another user than the JWT's "sub"; a new token of the same user will not help: `+
				`send the token of the user who is to sign, or make the JWT for the token's user`).
			because("user of the access token", "the user who is to sign", "another user")
	}
	return nil
}

// requestKey is where a request is remembered, so that the same JWT never makes a second session.
func requestKey(client string, jws *jwks.Token) string {
	id := jws.ID()
	owner := sha256.Sum256([]byte(client))
	return "request/" + base64.RawURLEncoding.EncodeToString(owner[:]) + "/" + base64.RawURLEncoding.EncodeToString(id[:])
}

// repeated answers a JWT that was accepted before as it was answered then, or nil for a new one.
func (s *Service) repeated(ctx context.Context, a *arrival) (*ticket, error) {
	records, err := s.Store.Get(ctx, a.key)
	if err != nil {
		return nil, err
	}
	if records[0].Version == 0 {
		return nil, nil
	}
	var remembered request
	if err := decode(records[0].Value, &remembered); err != nil {
		return nil, fmt.Errorf("the record of a request: %w", err)
	}
	if remembered.State != a.state {
		return nil, failure(http.StatusConflict, "replayed",
			"This JWT was accepted before with another state; make a new JWT for a new request").
			because("state", "the state of the first time", "another state")
	}
	token := seal(remembered.Sealed, a.jws)
	if sessionID(token) != remembered.Session { // a key was changed under its kid, and the same content signed anew
		return nil, failure(http.StatusConflict, "replayed",
			"The content of this JWT was accepted before with another signature; make a new JWT for a new request").
			because("signature", "the signature of the first time", "another signature")
	}
	return newTicket(token, a.state, a.base), nil
}

// accept holds a new request to the rules, keeps it, and only then acknowledges it. Of several equal requests at the
// same time one is kept, and all get its token.
func (s *Service) accept(ctx context.Context, a *arrival, client Client) (*ticket, error) {
	now := s.Now()
	if err := a.checkClaims(a.base, client, now, s.Durations.Skew, !s.Trust.AnyUser); err != nil {
		return nil, err
	}
	payloads, err := a.decodePayloads()
	if err != nil {
		return nil, err
	}
	token, err := newToken(s.Rand)
	if err != nil {
		return nil, err
	}
	fresh := &session{
		ID: sessionID(token), Client: a.iss, Sub: a.sub, Algorithm: a.algorithm, State: StateCreated,
		Carried: a.state, Created: now, Deadline: now.Add(s.Durations.Sign), Total: len(payloads),
	}
	if client.Webhook != "" {
		if fresh.Webhook, err = s.Webhooks.seal(ctx, token); err != nil {
			return nil, unavailable("sealing the token for the webhook: " + err.Error())
		}
	}
	// The last signature comes one lease after the deadline (see renew). The record of the request outlives the JWT
	// as well as the session.
	gone := latest(fresh.Deadline.Add(s.Durations.Lease+s.Durations.Result), a.exp.Add(s.Durations.Skew))
	remembered, err := encode(request{Sealed: seal(token, a.jws), Session: sessionID(token), State: a.state})
	if err != nil {
		return nil, err
	}
	if err := s.Quotas.admit(ctx, a.iss, client.MaxSessions); err != nil {
		return nil, err
	}
	err = s.sessions.create(ctx, fresh, payloads, gone, store.Record{Key: a.key, Value: remembered, Expires: gone})
	s.Quotas.settle(a.iss, err)
	var conflict *store.Conflict
	if errors.As(err, &conflict) {
		answer, err := s.repeated(ctx, a)
		if answer == nil && err == nil {
			err = unavailable("an equal request was kept and has gone")
		}
		return answer, err
	}
	if err != nil {
		return nil, err
	}
	answer := newTicket(token, a.state, a.base)
	answer.items = len(payloads)
	return answer, nil
}

// request is what is remembered of a JWT for those who send it again.
type request struct {
	Sealed  uuid.UUID `json:"sealed"`
	Session string    `json:"session"`
	State   string    `json:"state,omitempty"`
}

func newTicket(token uuid.UUID, state, base string) *ticket {
	query := "token=" + token.String()
	if state != "" {
		query += "&" + state
	}
	return &ticket{
		accepted: accepted{Token: token.String(), RedirectURI: base + "/client?" + query},
		session:  sessionID(token),
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
