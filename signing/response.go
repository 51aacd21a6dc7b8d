package signing

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/store"
)

// Response is what a client fetches (SIG-4.1, SIG-4.2): base64 signatures in the order of the
// request, and the base64 of the one certificate's DER.
type Response struct {
	Signatures  []Signature `json:"signatures"`
	Certificate string      `json:"certificate"`
}

// Signature is one item of a Response.
type Signature struct {
	ID        string `json:"id"`
	Signature string `json:"signature"`
}

// getResponse releases the signatures of a session, or says why there are none.
func (s *Service) getResponse(w http.ResponseWriter, r *http.Request) error {
	caller, err := s.Access(r)
	if err != nil {
		return err
	}
	token, err := tokenOf(strings.TrimPrefix(r.URL.Path, "/signatureresponse/"))
	if err != nil {
		return err
	}
	found, _, err := s.sessions.get(r.Context(), sessionID(token))
	if err != nil {
		return err
	}
	if !caller.mayFetch(found) {
		return errForeign(found)
	}
	if err := notReleased(found); err != nil {
		return err
	}
	released, err := s.sessions.result(r.Context(), found)
	if err != nil {
		return err
	}
	if len(released) != found.Total+1 {
		return fmt.Errorf("session %s has %d signatures for %d items", found.ID, len(released)-1, found.Total)
	}
	if s.Once {
		if err := s.spend(r.Context(), found.ID); err != nil {
			return err
		}
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "signatures fetched",
		slog.String("client", found.Client), slog.String("session", found.ID),
		slog.String("request_id", w.Header().Get(headerRequestID)))
	writeJSON(w, http.StatusOK, newResponse(released))
	return nil
}

// tokenOf reads a token from a caller, also one in base64 (SIG-4.3, SIG-4.4): the wording is the real service's, whose
// tokens were base64 of a UUID.
func tokenOf(text string) (uuid.UUID, error) {
	if token, ok := uuidOf(text); ok {
		return token, nil
	}
	if len(text) <= base64.StdEncoding.EncodedLen(uuidLength) {
		unpadded := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		decoded, err := base64.RawStdEncoding.DecodeString(unpadded)
		if token, ok := uuidOf(string(decoded)); err == nil && ok {
			return token, nil
		}
	}
	return uuid.UUID{}, badRequest("token", `Invalid request params: "token" must be a valid base64 string`)
}

const uuidLength = 36 // in characters

func uuidOf(text string) (uuid.UUID, bool) {
	token, err := uuid.Parse(text)
	return token, err == nil && len(text) == uuidLength
}

// errForeign is the answer about a session of another client or user: the same as about none.
func errForeign(of *session) error {
	return errNoSession().withDetail("session %s belongs to another client or user", of.ID)
}

// mayFetch holds a caller to its own sessions. Open access knows no caller.
func (c Caller) mayFetch(of *session) bool {
	return (c.Client == "" || c.Client == of.Client) && (c.User == "" || c.User == of.Sub)
}

// notReleased words the states in which there is nothing to fetch (SIG-4.5 to SIG-4.7).
func notReleased(of *session) error {
	switch of.State {
	case StateSigned:
		return nil
	case StateCreated:
		return of.notYet(badRequest("not_opened", "Signature request has not been downloaded yet"))
	case StateOpened, StateSigning:
		return of.notYet(failure(http.StatusNotFound, "not_signed", "Could not find the specified signature response"))
	case StateFailed, StateCancelled, StateExpired:
		reason := reasonOf(of)
		e := failure(http.StatusGone, string(of.State), "The signature request has %s: %s", wordFor(of.State), reason.Title)
		e.Reason = reason
		return e
	}
	return errNoSession()
}

// notYet adds what keeps a request from being signed, where a sign-in does. The answer is the real service's otherwise.
func (s *session) notYet(e *Error) *Error {
	if code := s.refused(); code != "" {
		e.Reason = reasonFor(code)
	}
	return e
}

func wordFor(state State) string {
	if state == StateCancelled {
		return "been cancelled"
	}
	return string(state)
}

// spend uses up the one time that signatures can be fetched, and drops them, before they are handed out. Of two
// calls at one time the second finds no session any more.
func (s *Service) spend(ctx context.Context, id string) error {
	_, err := s.sessions.change(ctx, id, func(current *session) ([]store.Op, error) {
		drop := make([]store.Op, current.Result)
		for n := range drop {
			drop[n].Delete = resultKey(id, n)
		}
		current.Fetched, current.Result = true, 0
		return drop, nil
	})
	return err
}

// newResponse turns what is kept, the certificate first, into what is sent.
func newResponse(released []item) Response {
	certificate, signatures := released[0], released[1:]
	response := Response{
		Signatures:  make([]Signature, len(signatures)),
		Certificate: base64.StdEncoding.EncodeToString(certificate.Payload),
	}
	for i, it := range signatures {
		response.Signatures[i] = Signature{ID: it.ID, Signature: base64.StdEncoding.EncodeToString(it.Payload)}
	}
	return response
}
