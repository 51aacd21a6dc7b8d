// Package strangers_test proves from outside that strangers take nothing that honest callers need: thousands of half-sent
// requests of each kind, from the honest clients' own address and from many, beside which nobody who behaves is refused.
package strangers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// patience is how long a busy machine may take; a test that passes never waits for it.
const patience = 2 * time.Minute

// world is a gateway with every directive that takes bodies.
type world struct {
	*gateway.Gateway
	key gateway.Key
}

func newWorld(t testing.TB, global string) *world {
	t.Helper()
	w := &world{key: gateway.NewKey(t, 4096)}
	w.Gateway = gateway.Start(t, fmt.Sprintf(caddyfile, global, w.key.Public))
	return w
}

const caddyfile = `{
` + gateway.Options + `	metrics
	countersign {
		environment int
		store memory
		%[1]s
		client acme {
			key acme-1 %[2]s
			callback http://localhost:9/signed
			products signing
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
	}
	handle_path /open/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/open
			access open
			mock https://localhost:{$PORT_CARDS} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /sandbox/* {
		signing_service {
			environment sandbox
			public_url http://localhost:{$PORT_GATEWAY}/sandbox
			access open
		}
	}
	handle_path /barsbox/* {
		bars_proxy {
			environment sandbox
			target https://fhir.nhs.uk/Id/dos-service-id 1 https://localhost:9
			rate_overall 100000/s
		}
	}
	handle /sent/* {
		route { # respond would come first otherwise
			apim_sender {
				environment sandbox
			}
			respond "sent"
		}
	}
}

https://localhost:{$PORT_CARDS} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client ` + gateway.Name + `
	}
}
`

func (w *world) metrics(t testing.TB) string {
	t.Helper()
	answer := gateway.Get(t, "http://127.0.0.1:"+w.Port("ADMIN")+"/metrics", nil)
	if answer.Status != http.StatusOK {
		t.Fatalf("metrics: got status %d", answer.Status)
	}
	return string(answer.Body)
}

// system is an honest client system.
func (w *world) system() gateway.System {
	return gateway.System{Base: w.URL("GATEWAY", "/open"), ID: "acme", Kid: "acme-1", Key: w.key, Sub: "555086689106"}
}

// post is an honest request of any kind.
func (w *world) post(t testing.TB, path, contentType, body string, headers ...string) gateway.Answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.URL("GATEWAY", path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return gateway.Send(t, request)
}

// token is an honest token request.
func (w *world) token(t testing.TB) {
	t.Helper()
	now := time.Now().Unix()
	assertion := w.key.JWT(t, map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}, map[string]any{
		"iss": "acme", "sub": "acme", "aud": w.URL("GATEWAY", "/oauth2/token"), "exp": now + 240,
		"jti": fmt.Sprint("jti-", time.Now().UnixNano()),
	})
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	wantStatus(t, w.post(t, "/oauth2/token", "application/x-www-form-urlencoded", form.Encode()), http.StatusOK)
}

func wantStatus(t testing.TB, got gateway.Answer, want int) {
	t.Helper()
	if got.Status != want {
		t.Errorf("got status %d, want %d: %.300s", got.Status, want, got.Body)
	}
}
