package caddymodule

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/credential"
)

// CredentialManagement lets a smartcard agent serve signing pages that are open on its own machine.
type CredentialManagement struct {
	// Origins are the allowed origins of signing pages, such as https://sign.example.nhs.uk. Mandatory.
	Origins []string `json:"origins,omitempty"`

	// User is the card's user id. Default: read from the card. Mandatory for kinds of agent that cannot read it.
	User string `json:"user,omitempty"`
}

// check refuses an invalid user id, or a user whom the agent does not serve.
func (c *CredentialManagement) check(users []string) error {
	if c.User == "" {
		return nil
	}
	if err := CheckUsers("user", []string{c.User}); err != nil {
		return err
	}
	if strings.ContainsAny(c.User, "*?[") {
		return fmt.Errorf("user %q is a pattern: give the user id of one person", c.User)
	}
	if !smartcard.Serves(users, c.User) {
		return fmt.Errorf("user %s does not match users %s, so the agent would refuse every request: correct one of them", c.User, strings.Join(users, " "))
	}
	return nil
}

func (c *CredentialManagement) server(signer smartcard.Signer, users []string, log *slog.Logger) (http.Handler, error) {
	return credential.New(credential.Options{Signer: signer, Origins: c.Origins, User: c.User, Users: users, Logger: log})
}

func (c *CredentialManagement) parse(d *caddyfile.Dispenser) error {
	return parse.Options{"origin": parse.List(&c.Origins), "user": parse.One(&c.User)}.Block(d, credentialManagement)
}

// credentialManagement stands for a card on the person's own machine, in place of an agent's address.
const credentialManagement = "credential_management"

// ownMachine is the route to such a card.
func (a *AgentClient) ownMachine() bool { return a.URL == credentialManagement }

func (a *AgentClient) ownMachineRoute() signing.Route {
	return signing.Route{Name: credentialManagement, Users: a.Users, Timeout: time.Duration(a.Timeout)}
}

// parseOwnMachine reads:
//
//	credential_management {
//		users   <pattern...>
//		timeout <duration>
//	}
func parseOwnMachine(d *caddyfile.Dispenser) (*AgentClient, error) {
	a := &AgentClient{URL: credentialManagement}
	return a, parse.Options{"users": parse.List(&a.Users), "timeout": parse.Duration(&a.Timeout)}.Block(d, credentialManagement)
}
