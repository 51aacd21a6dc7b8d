package signing

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
)

// maxHeld bounds the bytes of all request bodies held at one time; above it callers are told to come back.
const maxHeld = 256 << 20

// minModulus is the least length in bytes of a client's RSA modulus: 4096 bits, and 4095-bit ones that are
// registered as such (contract: signing-service §1, Client keys).
const minModulus = 512

// accepted is the answer to a signing request.
type accepted struct {
	Token       string `json:"token"`
	RedirectURI string `json:"redirectUri"`
}

// postRequest takes a signing request. Its checks stand in the contract's order, and the cheap ones come
// first; nothing of the payloads is decoded before the signature holds (contract: signing-service §1).
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
	body, release, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	defer release()

	jws, read, err := readJWS(body)
	if err != nil {
		return err
	}
	client, err := s.authenticate(r, jws, read, caller)
	if err != nil {
		return err
	}
	if answer, err := s.repeated(r, jws, read.iss, state, base); answer != nil || err != nil {
		return writeAccepted(w, answer, err)
	}
	if err := read.checkClaims(base, client, s.Now(), s.Durations.Skew, !s.Trust.AnyUser); err != nil {
		return err
	}
	payloads, err := read.decodePayloads()
	if err != nil {
		return err
	}
	answer, err := s.accept(r, jws, read, payloads, state, base)
	if err == nil {
		s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "signing request accepted",
			slog.String("client", read.iss), slog.String("algorithm", read.algorithm),
			slog.Int("items", len(payloads)), slog.String("session", answer.id),
			slog.String("request_id", w.Header().Get(headerRequestID)),
			slog.String("correlation_id", w.Header().Get(headerCorrelationID)))
	}
	return writeAccepted(w, answer, err)
}

type ticket struct {
	accepted
	id string
}

func writeAccepted(w http.ResponseWriter, answer *ticket, err error) error {
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer.accepted)
	return nil
}

// readBody reads the request's body within its bounds of size, time and memory. The caller releases the
// memory's share when it is done with the body.
func (s *Service) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > MaxBody {
		return nil, nil, tooLarge()
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "text/plain" {
		return nil, nil, failure(http.StatusUnsupportedMediaType, "content_type",
			"Send the request as Content-Type: text/plain, with the JWT as the whole body")
	}
	share := r.ContentLength
	if share < 0 {
		share = MaxBody
	}
	if s.bodies.Add(share) > maxHeld {
		s.bodies.Add(-share)
		return nil, nil, unavailable("bodies in flight are at their limit")
	}
	release = func() { s.bodies.Add(-share) }
	// A server that cannot set a deadline has one of its own.
	_ = http.NewResponseController(w).SetReadDeadline(s.Now().Add(s.Durations.ReadBody))
	body, err = readAtMost(r.Body, r.ContentLength)
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		return body, release, nil
	}
	release()
	return nil, nil, err
}

func readAtMost(body io.Reader, length int64) ([]byte, error) {
	buffer := make([]byte, 0, max(length, 512)+1) // one more, so that a body of the declared length ends in one read
	for {
		n, err := body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case len(buffer) > MaxBody:
			return nil, tooLarge()
		case errors.Is(err, io.EOF):
			return buffer, nil
		case err != nil:
			return nil, badRequest("body", "The request's body did not arrive whole").withDetail("%s", err)
		case len(buffer) == cap(buffer):
			buffer = append(buffer, 0)[:len(buffer)]
		}
	}
}

func tooLarge() *Error {
	return failure(http.StatusRequestEntityTooLarge, "too_large", "A signing request has at most %d bytes", MaxBody)
}

// readJWS takes the body apart, strictly, without any cryptography.
func readJWS(body []byte) (*jwks.Token, *claims, error) {
	jws, err := jwks.Parse(body)
	if err != nil {
		return nil, nil, asMalformed(err)
	}
	if err := checkHeader(jws.Header); err != nil {
		return nil, nil, err
	}
	read, err := readClaims(jws)
	if err != nil {
		return nil, nil, err
	}
	return jws, read, nil
}

// asMalformed words what is wrong with a JWS before its signature matters. Nothing of the body is echoed.
func asMalformed(err error) *Error {
	var e *jwks.Error
	if errors.As(err, &e) && e.Code != jwks.CodeMalformed {
		return badRequest("malformed", "The request is not a JWT as it has to be: %s", e.Text)
	}
	return badRequest("malformed", `Invalid request payload: "value" fails to match the required pattern: /%s/`, jwks.Pattern)
}

// checkHeader holds the JOSE header to what is allowed (contract: signing-service §1, Errors).
func checkHeader(h jwks.Header) error {
	const prefix = "JWT header is not valid. "
	switch {
	case h.Alg == "":
		return badRequest("alg", prefix+`"alg" is required`)
	case h.Alg != "RS512":
		return badRequest("alg", prefix+`"alg" must be [RS512]`)
	case h.KID == "":
		return badRequest("kid", prefix+`"kid" is required`)
	case h.Typ == "":
		return badRequest("typ", prefix+`"typ" is required`)
	case !strings.EqualFold(h.Typ, "JWT"):
		return badRequest("typ", prefix+`"typ" must be [JWT]`)
	}
	return nil
}

// authenticate proves that the JWT was signed with a key of the client it names. A stranger learns nothing
// of which clients there are, and costs no fetch.
func (s *Service) authenticate(r *http.Request, jws *jwks.Token, read *claims, caller Caller) (Client, error) {
	refused := func(detail string) error {
		return failure(http.StatusUnauthorized, "kid",
			`No key is registered for this "iss" and "kid"; check both against what the service's operator registered`).withDetail("%s", detail)
	}
	client, known := s.Clients[read.iss]
	if !known {
		return Client{}, refused("iss names no client")
	}
	key, err := s.Keys.Key(r.Context(), read.iss, jws.Header.KID)
	switch {
	case errors.Is(err, jwks.ErrUnreachable):
		e := unavailable("key set of client " + read.iss + ": " + err.Error())
		e.Message = "The key set of this client cannot be read at the moment; check its URL, and send the request again"
		return Client{}, e
	case err != nil:
		return Client{}, refused("client " + read.iss + ": " + err.Error())
	case key.ModulusBytes() < minModulus:
		return Client{}, refused(fmt.Sprintf("client %s: the key has %d bits and signing wants 4096", read.iss, key.Bits()))
	}
	if err := jws.Verify(key); err != nil {
		return Client{}, failure(http.StatusUnauthorized, "signature",
			"The JWT's signature does not verify with the key registered for its kid").withDetail("client %s", read.iss)
	}
	if caller.Client != "" && caller.Client != read.iss {
		return Client{}, failure(http.StatusUnauthorized, "access_token",
			`The access token belongs to another client than the JWT's "iss"`).withDetail("client %s", read.iss)
	}
	if caller.User != "" && caller.User != read.sub {
		return Client{}, failure(http.StatusUnauthorized, "access_token",
			`The access token belongs to another user than the JWT's "sub"`).withDetail("client %s", read.iss)
	}
	return client, nil
}

// requestKey is where a request is remembered, so that the same JWT never makes a second session.
func requestKey(client string, jws *jwks.Token) string {
	id := jws.ID()
	owner := sha256.Sum256([]byte(client))
	return "request/" + base64.RawURLEncoding.EncodeToString(owner[:]) + "/" + base64.RawURLEncoding.EncodeToString(id[:])
}

// repeated answers a JWT that was accepted before as it was answered then, or nil for a new one.
func (s *Service) repeated(r *http.Request, jws *jwks.Token, client, state, base string) (*ticket, error) {
	records, err := s.Store.Get(r.Context(), requestKey(client, jws))
	if err != nil {
		return nil, err
	}
	if records[0].Version == 0 {
		return nil, nil
	}
	var remembered request
	if err := decode(records[0].Value, &remembered); err != nil {
		return nil, err
	}
	if remembered.State != state {
		return nil, failure(http.StatusConflict, "replayed",
			"This JWT was accepted before with another state; make a new JWT for a new request").withDetail("client %s", client)
	}
	return newTicket(seal(remembered.Sealed, jws), state, base), nil
}

// accept keeps a new request and only then acknowledges it. Of several equal requests at the same time one is
// kept, and all get its token.
func (s *Service) accept(r *http.Request, jws *jwks.Token, read *claims, payloads []item, state, base string) (*ticket, error) {
	token, err := newToken(s.Rand)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	fresh := &session{
		ID: sessionID(token), Client: read.iss, Sub: read.sub, Algorithm: read.algorithm, State: StateCreated,
		Carried: state, Created: now, Deadline: now.Add(s.Durations.Sign), Total: len(payloads),
	}
	// The record of the request outlives the JWT as well as the session.
	gone := latest(fresh.Deadline.Add(s.Durations.Lease+s.Durations.Result), read.exp.Add(s.Durations.Skew))
	remembered, err := encode(request{Sealed: seal(token, jws), State: state})
	if err != nil {
		return nil, err
	}
	err = s.sessions.create(r.Context(), fresh, payloads, gone,
		store.Record{Key: requestKey(read.iss, jws), Value: remembered, Expires: gone})
	var conflict *store.Conflict
	if errors.As(err, &conflict) {
		answer, err := s.repeated(r, jws, read.iss, state, base)
		if answer == nil && err == nil {
			err = unavailable("an equal request was kept and has gone")
		}
		return answer, err
	}
	if err != nil {
		return nil, err
	}
	return newTicket(token, state, base), nil
}

// request is what is remembered of a JWT for those who send it again.
type request struct {
	Sealed uuid.UUID `json:"sealed"`
	State  string    `json:"state,omitempty"`
}

func newTicket(token uuid.UUID, state, base string) *ticket {
	query := "token=" + token.String()
	if state != "" {
		query += "&" + state
	}
	return &ticket{accepted{Token: token.String(), RedirectURI: base + "/client?" + query}, sessionID(token)}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
