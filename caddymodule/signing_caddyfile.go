package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("signing_service", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		s := &SigningService{}
		return s, s.UnmarshalCaddyfile(h.Dispenser)
	})
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
		return parse.One(d, &s.PublicURL)
	case "access":
		return parse.One(d, &s.Access)
	case "environment":
		return parse.One(d, (*string)(&s.Environment))
	case "user":
		return parse.One(d, &s.User)
	case "level":
		return parse.One(d, &s.Level)
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
		return parse.One(d, &s.StatusKey)
	case "sign_within":
		return parse.Duration(d, &s.SignWithin)
	case "keep_result":
		return parse.Duration(d, &s.KeepResult)
	case "lease":
		return parse.Duration(d, &s.Lease)
	case "clock_skew":
		return parse.Duration(d, &s.ClockSkew)
	case "tries":
		return parse.Count(d, &s.Tries)
	case "once":
		s.Once = true
		return parse.NoMore(d)
	default:
		return d.Errf("unrecognized option %q of signing_service", option)
	}
}

// parseAgent reads an agent's address and block. What it does not know itself is Caddy's http transport's.
func parseAgent(d *caddyfile.Dispenser) (*AgentClient, error) {
	a := &AgentClient{Transport: &reverseproxy.HTTPTransport{}}
	if err := parse.One(d, &a.URL); err != nil {
		return a, err
	}
	transport, err := parse.Split(d, "http", map[string]func(*caddyfile.Dispenser) error{
		"users":   func(d *caddyfile.Dispenser) error { return parse.List(d, &a.Users) },
		"timeout": func(d *caddyfile.Dispenser) error { return parse.Duration(d, &a.Timeout) },
		"idle":    func(d *caddyfile.Dispenser) error { return parse.Duration(d, &a.Idle) },
	})
	if err != nil {
		return a, err
	}
	return a, a.Transport.UnmarshalCaddyfile(transport)
}

var _ caddyfile.Unmarshaler = (*SigningService)(nil)
