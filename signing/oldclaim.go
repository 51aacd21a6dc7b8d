package signing

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/store"
)

// Releases before the one cookie (decision 0010) had one for each session, "<secret>.<token>". Pages that were open
// during the upgrade go on: with the old cookie a browser may watch its session, and claim it anew when the page is
// loaded again. Another host of the domain could have planted what the old secret derives from, so a sign-in does not
// come along: the person signs in again. Remove this file once no such session can be left, in the next release.
const oldSessionCookie = "countersign-session-"

// oldClaim is an earlier release's claim on a session.
type oldClaim struct {
	token  uuid.UUID
	secret string
}

// readOldClaim reads the cookie of an earlier release, if the browser has one for this session.
func readOldClaim(r *http.Request, id string) (old oldClaim, shown bool) {
	cookie, err := r.Cookie(oldCookieName(id))
	if err != nil {
		return oldClaim{}, false
	}
	secret, token, _ := strings.Cut(cookie.Value, ".")
	parsed, err := uuid.Parse(token)
	return oldClaim{parsed, secret}, err == nil && sessionID(parsed) == id
}

func oldCookieName(id string) string { return oldSessionCookie + id[:min(len(id), 16)] }

func (o oldClaim) holds(of *session) bool {
	return of.Token == uuid.Nil && claim{secret: o.secret}.holds(of)
}

// adopt has the browser claim a session anew that it claimed at an earlier release, and forget the old cookies.
func (s *Service) adopt(w http.ResponseWriter, r *http.Request, base *url.URL, id string) error {
	old, shown := readOldClaim(r, id)
	if !shown {
		return nil
	}
	held, err := s.claimOf(r, base, id)
	if err != nil {
		return err
	}
	found, err := s.sessions.change(r.Context(), id, func(current *session) ([]store.Op, error) {
		if !old.holds(current) || !held.caller.mayFetch(current) {
			return nil, errUnchanged
		}
		held.take(current, old.token)
		current.Person, current.SignIn, current.Holder = "", "", ""
		return nil, nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: oldCookieName(id), Path: base.Path + pagePath, MaxAge: -1, HttpOnly: true, Secure: base.Scheme == "https",
	})
	s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "session claimed anew after an upgrade",
		slog.String("session", id), slog.String("client", found.Client), slog.String("request_id", w.Header().Get(headerRequestID)))
	return nil
}

// watched is held for calls that only look: a page of an earlier release goes on polling.
func (s *Service) watched(r *http.Request, base *url.URL, id string) (view, error) {
	found, held, err := s.held(r, base, id)
	if err == nil {
		return s.viewIn(r, base, found, held)
	}
	if old, shown := readOldClaim(r, id); shown && found != nil && old.holds(found) {
		seen := s.viewOf(found, claim{})
		if seen.RedirectURI != "" {
			seen.RedirectURI = s.wayBack(found, old.token.String())
		}
		return seen, nil
	}
	return view{}, err
}
