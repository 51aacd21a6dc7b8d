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
//		display required|optional|off {
//			otherwise refuse|fallback
//			print
//		}
//		status_key  <key>
//		sign_within <duration>
//		keep_result <duration>
//		lease       <duration>
//		clock_skew  <duration>
//		tries       <number>
//		once
//		accept      <name of a rule of production...>
//	}
func (s *SigningService) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return parse.Options{
		"public_url":         parse.One(&s.PublicURL),
		"access":             parse.One(&s.Access),
		"environment":        parse.One(&s.Environment),
		"user":               parse.One(&s.User),
		"level":              parse.One(&s.Level),
		"sign_in":            s.parseSignIn,
		"agent":              s.parseAgents(parseAgent),
		credentialManagement: s.parseAgents(parseOwnMachine),
		"mock":               s.parseMock,
		"certificates":       s.Certificates.parse,
		"display":            s.Display.parse,
		"status_key":         parse.One(&s.StatusKey),
		"sign_within":        parse.Duration(&s.SignWithin),
		"keep_result":        parse.Duration(&s.KeepResult),
		"lease":              parse.Duration(&s.Lease),
		"clock_skew":         parse.Duration(&s.ClockSkew),
		"tries":              parse.Count(&s.Tries),
		"once":               parse.Flag(&s.Once),
		acceptOption:         parse.List(&s.Accept),
	}.Directive(d)
}

// parseAgents reads one agent option and keeps their order.
func (s *SigningService) parseAgents(read func(*caddyfile.Dispenser) (*AgentClient, error)) parse.Option {
	return func(d *caddyfile.Dispenser) error {
		agent, err := read(d)
		s.Agents = append(s.Agents, agent)
		return err
	}
}

func (s *SigningService) parseMock(d *caddyfile.Dispenser) error {
	if s.Mock != nil {
		return d.Err("mock is configured twice: remove one")
	}
	var err error
	s.Mock, err = parseAgent(d)
	return err
}

// parseAgent reads an agent's address and block. Options that it does not know go to Caddy's http transport.
func parseAgent(d *caddyfile.Dispenser) (*AgentClient, error) {
	a := &AgentClient{Transport: &reverseproxy.HTTPTransport{}}
	if err := parse.One(&a.URL)(d); err != nil {
		return a, err
	}
	transport, err := parse.Split(d, "http", parse.Options{
		"users":   parse.List(&a.Users),
		"timeout": parse.Duration(&a.Timeout),
		"idle":    parse.Duration(&a.Idle),
	})
	if err != nil {
		return a, err
	}
	return a, a.Transport.UnmarshalCaddyfile(transport)
}

var _ caddyfile.Unmarshaler = (*SigningService)(nil)
