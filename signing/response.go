package signing

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/store"
)

// Response is what a client fetches (contract: signing-service §4): base64 signatures in the order of the
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
	found, version, err := s.sessions.get(r.Context(), sessionID(token))
	if err != nil {
		return err
	}
	if !caller.mayFetch(found) {
		return errNoSession().withDetail("session %s belongs to another client or user", found.ID)
	}
	if err := notReleased(found); err != nil {
		return err
	}
	released, err := s.sessions.result(r.Context(), found)
	if err != nil {
		return err
	}
	if s.Once {
		if err := s.markFetched(r, found, version); err != nil {
			return err
		}
	}
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "signatures fetched",
		slog.String("client", found.Client), slog.String("session", found.ID),
		slog.String("request_id", w.Header().Get(headerRequestID)))
	writeJSON(w, http.StatusOK, newResponse(released))
	return nil
}

// tokenOf reads a token from a caller. The wording is the real service's, whose tokens were base64 of a UUID.
func tokenOf(text string) (uuid.UUID, error) {
	token, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.UUID{}, badRequest("token", `Invalid request params: "token" must be a valid base64 string`)
	}
	return token, nil
}

// mayFetch holds a caller to its own sessions. Open access knows no caller.
func (c Caller) mayFetch(of *session) bool {
	return (c.Client == "" || c.Client == of.Client) && (c.User == "" || c.User == of.Sub)
}

// notReleased words the states in which there is nothing to fetch (contract: signing-service §4).
func notReleased(of *session) error {
	switch of.State {
	case StateSigned:
		return nil
	case StateCreated:
		return badRequest("not_opened", "Signature request has not been downloaded yet")
	case StateOpened, StateSigning:
		return failure(http.StatusNotFound, "not_signed", "Could not find the specified signature response")
	case StateFailed, StateCancelled, StateExpired:
		reason := reasonFor(of.Reason)
		e := failure(http.StatusGone, string(of.State), "The signature request has %s: %s", wordFor(of.State), reason.Title)
		e.Reason = reason
		return e
	}
	return errNoSession()
}

func wordFor(state State) string {
	if state == StateCancelled {
		return "been cancelled"
	}
	return string(state)
}

// markFetched spends the one time that signatures can be fetched, and drops them, before they are handed out.
func (s *Service) markFetched(r *http.Request, found *session, version store.Version) error {
	drop := make([]store.Op, found.Result)
	for n := range drop {
		drop[n].Delete = resultKey(found.ID, n)
	}
	found.Fetched, found.Result = true, 0
	found.Until = s.Now()
	return s.sessions.commit(r.Context(), found, version, drop)
}

// newResponse turns what is kept, the certificate first, into what is sent.
func newResponse(released []item) Response {
	response := Response{Signatures: []Signature{}}
	for i, it := range released {
		encoded := base64.StdEncoding.EncodeToString(it.Payload)
		if i == 0 {
			response.Certificate = encoded
			continue
		}
		response.Signatures = append(response.Signatures, Signature{ID: it.ID, Signature: encoded})
	}
	return response
}
