// Package reload_test judges what an operator meets when a configuration changes: reloads of the built binary under
// load, configurations that are refused, and a validation beside a running gateway.
package reload_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// person is who signs: a made-up SDS user id. No gateway may log it.
const person = "555086689106"

// signer is the client systems' key; keyFile its public half. All tests share it, since it takes a while to make.
var (
	signer  *jwks.Signer
	keyFile string // a JWK set
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-reload-")
	if err == nil {
		defer os.RemoveAll(dir)
		keyFile = filepath.Join(dir, "keys.json")
		signer, err = newSigner(keyFile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func newSigner(publish string) (*jwks.Signer, error) {
	key, err := jwks.GenerateRSA(4096, nil)
	if err != nil {
		return nil, err
	}
	made, err := jwks.NewSigner("acme-1", key)
	if err != nil {
		return nil, err
	}
	set, err := made.PublicSet()
	if err != nil {
		return nil, err
	}
	return made, os.WriteFile(publish, set, 0o600)
}

// site is a configuration by its parts; the zero value is the plain one.
type site struct {
	store   string // the store's directory; default Caddy's own
	clients string // further clients
	key     string // of the client acme, in place of its key set
	service string // more lines for signing_service
	agent   string // more lines for the mock agent
	more    string // more sites
}

// caddyfile is a gateway with the client acme, a Signing Service and a mock agent that takes its time.
func (s site) caddyfile() string {
	key := "jwks " + keyFile
	if s.key != "" {
		key = s.key
	}
	return fmt.Sprintf(`{
`+gateway.Options+`	countersign {
		environment int
		store badger %[1]s
		client acme {
			%[2]s
			callback http://localhost:9/signed
			webhook http://localhost:9/hook # nobody takes them, so there are always some to deliver
		}
		%[3]s
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /main/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/main
			access open
			mock https://localhost:{$PORT_AGENT} {
				keepalive 10s
				`+gateway.MutualTLS+`			}
			certificates {
				trust mock
			}
			%[4]s
		}
	}
}

https://localhost:{$PORT_AGENT} {
`+gateway.DemandMutualTLS+`	smartcard_agent mock {
		allow_client gateway.countersign.internal
		%[5]s
	}
}
%[6]s`, s.store, key, s.clients, s.service, s.agent, s.more)
}

// anotherClient is a client that some configurations have and others have not.
const anotherClient = `client other {
			jwks %s
			callback http://localhost:9/signed
		}`
