package mockopenid

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// whoLeaves shows the people who are signed in in this browser, to log one of them out.
func (c *call) whoLeaves(w http.ResponseWriter, r *http.Request) {
	v := view{Title: "Who leaves?", Lead: "Logs a made-up person out of every system that signed them in here from this browser.", Action: c.base + "/logout"}
	here := c.sessions(r)
	for _, person := range c.People {
		if here[person.ID] != "" {
			v.People = append(v.People, person)
		}
	}
	if len(v.People) == 0 {
		v.Lead = "Nobody is signed in from this browser."
	}
	c.show(w, http.StatusOK, v)
}

// leave tells every client that a person's session is over (OpenID Connect Back-Channel Logout §2.5).
func (c *call) leave(w http.ResponseWriter, r *http.Request) {
	form, ok := readForm(w, r)
	if !ok {
		return
	}
	here := c.sessions(r)
	person, known := c.person(form.Get("username"))
	sid := here[person.ID]
	if !known || sid == "" {
		http.Error(w, "This person is not signed in from this browser.", http.StatusBadRequest)
		return
	}
	delete(here, person.ID)
	if err := c.keepSessions(w, here); err != nil {
		http.Error(w, "the logout cannot be kept", http.StatusInternalServerError)
		return
	}
	told := 0
	for _, client := range c.Clients {
		if client.LogoutURI == "" {
			continue
		}
		if err := c.tell(r.Context(), client, person, sid); err != nil {
			c.Logger.LogAttrs(r.Context(), slog.LevelWarn, "a client did not take a logout token",
				slog.String("client", client.ID), slog.String("error", err.Error()))
			continue
		}
		told++
	}
	c.show(w, http.StatusOK, view{Title: "Logged out", Lead: fmt.Sprintf("%s is logged out of %d of %d systems.", person.Name, told, len(c.Clients)), Action: c.base + "/logout"})
}

func (c *call) tell(ctx context.Context, client Client, person Person, sid string) error {
	now := c.Now()
	token, err := c.signer.Mint(map[string]any{
		"iss": c.base, "aud": client.ID, "sub": person.ID, "sid": sid, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, client.LogoutURI, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // the body is not used
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("got status %d", response.StatusCode)
	}
	return nil
}
