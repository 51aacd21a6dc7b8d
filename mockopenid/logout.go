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

// whoLeaves shows the people, to log one of them out.
func (c *call) whoLeaves(w http.ResponseWriter) {
	c.show(w, view{Title: "Who leaves?", Lead: "Logs a made-up person out of every system that signed them in here.", Action: "logout", People: c.People})
}

// leave tells every client that a person has logged out (OpenID Connect Back-Channel Logout §2.5).
func (c *call) leave(w http.ResponseWriter, r *http.Request) {
	form, ok := readForm(w, r)
	if !ok {
		return
	}
	person, known := c.person(form.Get("person"))
	if !known {
		http.Error(w, "There is no such person.", http.StatusBadRequest)
		return
	}
	told := 0
	for _, client := range c.Clients {
		if client.LogoutURI == "" {
			continue
		}
		if err := c.tell(r.Context(), client, person); err != nil {
			c.Logger.LogAttrs(r.Context(), slog.LevelWarn, "a client did not take a logout token",
				slog.String("client", client.ID), slog.String("error", err.Error()))
			continue
		}
		told++
	}
	c.show(w, view{Title: "Logged out", Lead: fmt.Sprintf("%s is logged out of %d of %d systems.", person.Name, told, len(c.Clients)), Action: "logout"})
}

func (c *call) tell(ctx context.Context, client Client, person Person) error {
	now := c.Now()
	token, err := c.signer.Mint(map[string]any{
		"iss": c.base, "aud": client.ID, "sub": person.ID, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
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
