package signing

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

const (
	headerCSRF = "X-CSRF-Token"
	maxCall    = 16 << 10  // bytes of one call from the page
	maxAnswer  = 1 << 20   // bytes of one that brings signatures
	maxNamed   = 512 << 10 // bytes of one that names items
)

// call is what the page sends.
type call struct {
	ID    string `json:"id"`
	Token string `json:"token"`
	Query string `json:"query"` // the page's own query, as it came
	Way   int    `json:"way"`   // to sign: which of the session's ways to a card
	Job   string `json:"job"`   // to keep and answer: the run that is meant

	Declined []string        `json:"declined"` // to decline: the ids of the items that something is wrong with
	Looked   map[string]bool `json:"looked"`   // to looked: by id, whether the person has looked at it

	// What an agent on the person's machine returned, or why it did not.
	Certificate []byte      `json:"certificate"`
	Signatures  []signature `json:"signatures"`
	Failure     string      `json:"failure"`
}

// signature is one that an agent on the person's machine made.
type signature struct {
	ID        string `json:"id"`
	Signature []byte `json:"signature"`
}

// readCall reads a call of the page, if it is a call of the page: same origin, and with the page's CSRF value
// (SIG-2.7). Anybody can have such a value, so that it proves nothing. A call that names its session in the query has
// its claim on it checked before its body is read, and is proven then.
func (s *Service) readCall(w http.ResponseWriter, r *http.Request) (call, *url.URL, error) {
	return s.readCallOf(w, r, maxCall)
}

// readCallOf is readCall for calls of another size.
func (s *Service) readCallOf(w http.ResponseWriter, r *http.Request, limit int64) (read call, base *url.URL, err error) {
	if base, err = s.parsedBase(r); err != nil {
		return call{}, nil, err
	}
	if err = sameOrigin(r, base); err != nil {
		return call{}, nil, err
	}
	secret := browserSecret(r, base)
	if secret == "" || subtle.ConstantTimeCompare([]byte(r.Header.Get(headerCSRF)), []byte(csrfOf(secret, base))) != 1 {
		return call{}, nil, failure(http.StatusForbidden, "csrf",
			"This call does not come from the signing page as it was last loaded; reload the page")
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return call{}, nil, failure(http.StatusUnsupportedMediaType, "content_type", "The page's calls are application/json")
	}
	id, named := rawParameter(r.URL.RawQuery, "id")
	claimed := named && s.sessions != nil // a sandbox has none
	if claimed {
		if _, _, err := s.held(r, base, id); err != nil {
			return call{}, nil, err
		}
	}
	body, place, err := s.takeIn(s.Calls, w, r, limit, claimed)
	if err != nil {
		return call{}, nil, err
	}
	defer place.Release()
	if err := json.Unmarshal(body, &read, json.RejectUnknownMembers(true)); err != nil {
		return call{}, nil, badRequest("malformed", "A call of the page is one JSON object with id, or token and query")
	}
	if named && read.ID != id {
		return call{}, nil, badRequest("malformed", "A call of the page names one session: the id in its query is the id in its body")
	}
	return read, base, nil
}

func (s *Service) parsedBase(r *http.Request) (*url.URL, error) {
	text, err := s.BaseURL(r)
	if err != nil {
		return nil, err
	}
	return url.Parse(text)
}

// sameOrigin refuses what another site has caused. Browsers send Origin with every POST.
func sameOrigin(r *http.Request, base *url.URL) error {
	origin := originOf(base)
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Header.Get("Origin") != origin || (site != "" && site != "same-origin") {
		return failure(http.StatusForbidden, "origin",
			"Only the signing page itself may make this call, from the address that is configured as its public URL").
			because("Origin", origin, quoted(r.Header.Get("Origin")))
	}
	return nil
}

// originOf writes the origin of an address as browsers do (RFC 6454 §6.1): in lower case, without a default port.
func originOf(base *url.URL) string {
	host := strings.ToLower(base.Host)
	switch base.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return base.Scheme + "://" + host
}

// readHeldCall reads a call of the page about a session, with this browser's claim on it.
func (s *Service) readHeldCall(w http.ResponseWriter, r *http.Request, limit int64) (call, claim, error) {
	read, base, err := s.readCallOf(w, r, limit)
	if err != nil {
		return call{}, claim{}, err
	}
	held, err := s.claimOf(r, base, read.ID)
	return read, held, err
}
