package mockopenid

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	sessionCookie = "mock-openid-sessions"
	sessionLife   = 12 * time.Hour
)

// sessions are the sids of the people who are signed in in this browser, by person. The browser keeps them, so that any
// node knows them.
func (c *call) sessions(r *http.Request) map[string]string {
	kept, err := r.Cookie(sessionCookie)
	if err != nil {
		return map[string]string{}
	}
	content, ok := c.unseal("sessions", kept.Value)
	if !ok || content.Sessions == nil {
		return map[string]string{}
	}
	maps.DeleteFunc(content.Sessions, func(person, _ string) bool { _, known := c.person(person); return !known })
	return content.Sessions
}

// keepSessions has the browser keep who is signed in.
func (c *call) keepSessions(w http.ResponseWriter, sessions map[string]string) error {
	value, err := c.signer.Mint(sealed{Kind: "sessions", Sessions: sessions, Until: c.Now().Add(sessionLife).Unix()})
	if err != nil {
		return err
	}
	base, err := url.Parse(c.base)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: strings.TrimSuffix(base.Path, "/") + "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, Secure: base.Scheme == "https", SameSite: http.SameSiteLaxMode,
	})
	return nil
}
