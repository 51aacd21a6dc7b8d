package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("signing_service", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		s := &SigningService{}
		return s, s.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("signing_service", httpcaddyfile.Before, "reverse_proxy")
}

// UnmarshalCaddyfile reads:
//
//	signing_service {
//		public_url  <url>
//		access      bearer|open
//		environment sandbox|int|prod
//		user        required|optional
//		level       aal1|aal2|aal3
//		sign_in     [<issuer>]
//		agent <https url> {
//			users   <pattern...>
//			timeout <duration>
//			idle    <duration>
//			<sub-directives of Caddy's http transport: tls_client_auth, tls_trust_pool, …>
//		}
//		credential_management {
//			users   <pattern...>
//			timeout <duration>
//		}
//		mock <https url> {
//			<as agent>
//		}
//		certificates {
//			<see Certificates>
//		}
//		status_key  <key>
//		sign_within <duration>
//		keep_result <duration>
//		lease       <duration>
//		clock_skew  <duration>
//		tries       <number>
//		once
//	}
func (s *SigningService) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // signing_service
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if err := s.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *SigningService) parseOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "public_url":
		return one(d, &s.PublicURL)
	case "access":
		return one(d, &s.Access)
	case "environment":
		return one(d, (*string)(&s.Environment))
	case "user":
		return one(d, &s.User)
	case "level":
		return one(d, &s.Level)
	case "sign_in":
		return s.parseSignIn(d)
	case "agent":
		agent, err := parseAgent(d)
		s.Agents = append(s.Agents, agent)
		return err
	case credentialManagement:
		agent, err := parseOwnMachine(d)
		s.Agents = append(s.Agents, agent)
		return err
	case "mock":
		if s.Mock != nil {
			return d.Err("mock is given twice")
		}
		var err error
		s.Mock, err = parseAgent(d)
		return err
	case "certificates":
		return s.Certificates.parse(d)
	case "status_key":
		return one(d, &s.StatusKey)
	case "sign_within":
		return duration(d, &s.SignWithin)
	case "keep_result":
		return duration(d, &s.KeepResult)
	case "lease":
		return duration(d, &s.Lease)
	case "clock_skew":
		return duration(d, &s.ClockSkew)
	case "tries":
		return count(d, &s.Tries)
	case "once":
		s.Once = true
		return noMore(d)
	default:
		return d.Errf("unrecognized option %q of signing_service", option)
	}
}

// parseAgent reads an agent's address and block. What it does not know itself is Caddy's http transport's.
func parseAgent(d *caddyfile.Dispenser) (*AgentClient, error) {
	a := &AgentClient{Transport: &reverseproxy.HTTPTransport{}}
	if err := one(d, &a.URL); err != nil {
		return a, err
	}
	transport, err := splitBlock(d, "http", map[string]func(*caddyfile.Dispenser) error{
		"users":   func(d *caddyfile.Dispenser) error { return list(d, &a.Users) },
		"timeout": func(d *caddyfile.Dispenser) error { return duration(d, &a.Timeout) },
		"idle":    func(d *caddyfile.Dispenser) error { return duration(d, &a.Idle) },
	})
	if err != nil {
		return a, err
	}
	return a, a.Transport.UnmarshalCaddyfile(transport)
}

// splitBlock reads the block that follows: our own options by the functions given, and gathers all others under a
// name, for a module of Caddy's or of a guest's to read.
func splitBlock(d *caddyfile.Dispenser, name string, own map[string]func(*caddyfile.Dispenser) error) (*caddyfile.Dispenser, error) {
	head := d.Token()
	head.Text = name
	tokens := []caddyfile.Token{head}
	open, last := head, head
	open.Text = "{"
	tokens = append(tokens, open)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if parse, ours := own[d.Val()]; ours {
			if err := parse(d); err != nil {
				return nil, err
			}
			continue
		}
		segment := d.NextSegment()
		tokens = append(tokens, segment...)
		last = segment[len(segment)-1]
	}
	if len(tokens) == 2 {
		return caddyfile.NewDispenser(tokens[:1]), nil
	}
	last.Text = "}"
	return caddyfile.NewDispenser(append(tokens, onNextLine(last))), nil
}

// onNextLine puts a token on a line of its own, where a closing brace must stand.
func onNextLine(token caddyfile.Token) caddyfile.Token {
	token.Line++
	return token
}

// count reads exactly one positive number.
func count(d *caddyfile.Dispenser, into *int) error {
	var text string
	if err := one(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return d.Errf("%q is not a positive number", text)
	}
	*into = n
	return nil
}

var _ caddyfile.Unmarshaler = (*SigningService)(nil)
