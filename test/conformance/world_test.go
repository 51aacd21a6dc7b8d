// Package conformance_test runs the contract's tables against the built binary by its own command, as a supplier does: no
// row may differ. Against a gateway with seeded differences it must find each of them and nothing else.
package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	secret   = "s3cret-of-acme"
	redirect = "http://localhost:9/in"
	target   = "https://fhir.nhs.uk/Id/dos-service-id|1"
)

// world is a gateway with every service that the contract describes, and clients of each kind.
type world struct {
	*gateway.Gateway
	key    gateway.Key
	secret string // file with the client secret
	keySet string // URL of the client's key set
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{key: gateway.NewKey(t, 4096), secret: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(w.secret, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []any{w.key.JWK(t, "acme-1")}})
	if err != nil {
		t.Fatal(err)
	}
	published := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(set) }))
	t.Cleanup(published.Close)
	w.keySet = published.URL + "/jwks.json"
	w.Gateway = gateway.Start(t, fmt.Sprintf(caddyfile, w.key.Public))
	w.MustNotLog(secret)
	return w
}

const caddyfile = `{
` + gateway.Options + `	countersign {
		environment int
		store memory
		openid http://localhost:{$PORT_GATEWAY}/op {
			client_id gateway
			secret secret-of-the-gateway
		}
		client acme {
			key acme-1 %[1]s
			callback http://localhost:9/signed
			products signing bars users loans
			secret ` + secret + `
			redirect_uri ` + redirect + `
			algorithms RS256 RS1
		}
		client revoked {
			key acme-1 %[1]s
			callback http://localhost:9/signed
			products signing
			status revoked
		}
		client keyless {
			products bars
		}
		client away {
			jwks http://localhost:9/jwks.json
			products bars
		}
		client scopeless {
			key acme-1 %[1]s
			products loans
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
		product bars {
			scopes urn:nhsd:apim:app:level3:booking-and-referral
		}
		product loans {
			scopes urn:nhsd:apim:user-nhs-cis2:aal3:something
		}
		product users {
			scopes urn:nhsd:apim:user-nhs-cis2:aal3:signing-service
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /oauth2/* {
		apim_authorize {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
	}
	handle_path /signing-service/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing-service
			access bearer
			mock https://localhost:{$PORT_AGENT} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /booking-and-referral/FHIR/R4/* {
		bars_proxy {
			target https://fhir.nhs.uk/Id/dos-service-id 1 https://bars-int-x26.a.thirdparty.nhs.uk
			resolve bars-int-x26.a.thirdparty.nhs.uk 127.0.0.1
			tls_client_auth ` + gateway.Name + `
			tls_trust_pool pki_root {
				authority local
			}
		}
	}
	handle_path /op/* {
		openid_mock {
			public_url http://localhost:{$PORT_GATEWAY}/op
			person 555086689106 "Alice Made-Up" 3
			client gateway {
				secret secret-of-the-gateway
				redirect_uri http://localhost:{$PORT_GATEWAY}/oauth2/callback
			}
		}
	}
}

https://localhost:{$PORT_AGENT} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client ` + gateway.Name + `
	}
}
`

// result is one row of the command's answer.
type result struct {
	Rule        string `json:"rule"`
	Name        string `json:"name"`
	Outcome     string `json:"outcome"`
	Why         string `json:"why"`
	Differences []struct{ What, Got, Want string }
}

// run runs the command against a base URL. It returns the results and the exit status.
func (w *world) run(t *testing.T, base string, more ...string) (results []result, status int) {
	t.Helper()
	args := append([]string{
		"countersign", "conformance", "--json", "--against", base, "--audience", w.URL("GATEWAY", "/oauth2/token"),
		"--signing-audience", w.URL("GATEWAY", "/signing-service"), "--key-set", w.keySet,
		"--client", "acme", "--kid", "acme-1", "--key", w.key.Private, "--secret", w.secret, "--redirect-uri", redirect, "--target", target,
		"--role", "revoked=revoked,keyless=keyless,away=away,scopeless=scopeless", "--rate", "1000",
	}, more...)
	command := exec.Command(gateway.Binary(t), args...)
	command.Stderr = os.Stderr
	said, err := command.Output()
	if err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	var answer struct{ Results []result }
	if err := json.Unmarshal(said, &answer); err != nil || len(answer.Results) == 0 {
		t.Fatalf("got %.500s (%v), want results", said, err)
	}
	return answer.Results, command.ProcessState.ExitCode()
}
