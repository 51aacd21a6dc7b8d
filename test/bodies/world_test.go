// Package bodies_test proves from outside that no byte of a request's body is ever taken for the next request: raw
// connections to every endpoint of the built binary, refused in every way before their bodies were read, and HAProxy in
// front that shares connections between clients.
package bodies_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	// patience is how long a busy machine may take; a test that passes never waits for it.
	patience = 2 * time.Minute

	receiver = "bars-int-x26.supplier.thirdparty.nhs.uk"
	proxy    = "proxy.bars.nhs.uk"
)

// setting is how Caddy is configured around the endpoints.
type setting struct {
	servers string // lines of the global option servers
	site    string // lines of every site
}

var settings = map[string]setting{
	"plain":       {},
	"full duplex": {servers: "enable_full_duplex"},
	"log":         {site: "log"},
	"everything":  {servers: "enable_full_duplex", site: "log\n\trequest_body {\n\t\tmax_size 20MB\n\t}"},
}

// world is a gateway with every directive in it.
type world struct {
	*gateway.Gateway
	t         testing.TB
	dir       string
	authority *barstest.Authority
}

func newWorld(t testing.TB, s setting) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), authority: barstest.NewAuthority(t, "NHS INT")}
	chain := w.authority.WriteChain(filepath.Join(w.dir, "chain.pem"))
	serverCert, serverKey := barstest.Write(t, w.dir, receiver, w.authority.Issue(receiver))
	proxyCert, proxyKey := barstest.Write(t, w.dir, proxy, w.authority.Issue(proxy))
	key := gateway.NewKey(t, 4096)
	w.Gateway = gateway.Start(t, fmt.Sprintf(caddyfile, map[bool]string{true: "servers {\n\t\t" + s.servers + "\n\t}"}[s.servers != ""],
		s.site, key.Public, key.Private, chain, serverCert, serverKey, proxyCert, proxyKey, behind(t)))
	return w
}

// behind is the address of a system that answers without a look at what it was sent.
func behind(t testing.TB) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusUnprocessableEntity)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// caddyfile has the smuggled request answered at every site, so that it would be seen.
const caddyfile = `{
` + gateway.Options + `	%[1]s
	countersign {
		environment int
		store memory
		openid http://localhost:{$PORT_GATEWAY}/op {
			client_id countersign
			secret s3cret
		}
		client acme {
			key acme-1 %[3]s
			callback http://localhost:9/signed
			products signing users
			secret s3cret-of-acme
			redirect_uri http://localhost:9/in
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
		product users {
			scopes urn:nhsd:apim:user-nhs-cis2:aal3:signing-service
		}
	}
}

(service) {
	public_url http://localhost:{$PORT_GATEWAY}/{args[0]}
	access {args[1]}
	status_key s3cret
	mock https://localhost:{$PORT_CARDS} {
		` + gateway.MutualTLS + `	}
	certificates {
		trust mock
	}
}

http://localhost:{$PORT_GATEWAY} {
	%[2]s
	respond /smuggled "smuggled"
	respond /honest/* "{http.request.uri.path}"
	handle_path /signing/* {
		signing_service {
			import service signing bearer
		}
	}
	handle_path /open/* {
		signing_service {
			import service open open
		}
	}
	handle_path /sandbox/* {
		signing_service {
			environment sandbox
			public_url http://localhost:{$PORT_GATEWAY}/sandbox
			access open
		}
	}
	handle_path /oauth2/* {
		apim_authorize {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
		}
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
			status_key s3cret
		}
	}
	handle_path /op/* {
		openid_mock {
			public_url http://localhost:{$PORT_GATEWAY}/op
			person 555086689106 "Alice Made-Up" 3
			client countersign {
				secret s3cret
				redirect_uri http://localhost:{$PORT_GATEWAY}/oauth2/callback
			}
		}
	}
	handle_path /bars/* {
		bars_proxy {
			target https://fhir.nhs.uk/Id/dos-service-id 1 https://` + receiver + `
			tls_client_auth %[8]s %[9]s
			tls_trust_pool file %[5]s
		}
	}
	handle_path /barsbox/* {
		bars_proxy {
			environment sandbox
			target https://fhir.nhs.uk/Id/dos-service-id 1 https://` + receiver + `
			rate_overall 100000/s
		}
	}
	handle /api/* {
		apim_bearer
		respond "in"
	}
	handle /fhir/* {
		apim_bearer {
			errors fhir
		}
		reverse_proxy %[10]s
	}
	handle /send/* {
		apim_sender {
			client acme
			key acme-1 %[4]s
			token_url http://localhost:1/token
		}
		reverse_proxy %[10]s
	}
	handle /providers/* {
		apim_sender {
			provider_by {http.request.header.X-Provider}
			provider one {
				client acme
				key acme-1 %[4]s
			}
			token_url http://localhost:1/token
		}
		reverse_proxy %[10]s
	}
	handle /tosend/* {
		apim_sender {
			client acme
			key acme-1 %[4]s
			token_url http://localhost:1/token
			bars {
				base_url http://localhost:1/FHIR
			}
		}
	}
	handle /sent/* {
		apim_sender {
			environment sandbox
		}
		reverse_proxy %[10]s
	}
	handle_path /demo/* {
		countersign_demo {
			client acme
		}
	}
	handle /keys {
		countersign_jwks
	}
}

https://localhost:{$PORT_CARDS} {
` + gateway.DemandMutualTLS + `	%[2]s
	respond /smuggled "smuggled"
	smartcard_agent mock {
		allow_client ` + gateway.Name + `
	}
}

https://localhost:{$PORT_READERS} {
` + gateway.DemandMutualTLS + `	%[2]s
	respond /smuggled "smuggled"
	smartcard_agent pkcs11 {
		allow_client ` + gateway.Name + `
		module /usr/lib/softhsm/libsofthsm2.so
	}
}

http://localhost:{$PORT_DESK} {
	%[2]s
	respond /smuggled "smuggled"
	smartcard_agent mock {
		credential_management {
			origin http://localhost:{$PORT_GATEWAY}
			user 555086689106
		}
	}
}

https://` + receiver + `:{$PORT_RECEIVER} {
	%[2]s
	bars_receiver {
		certificate %[6]s %[7]s
		chain %[5]s
		proxy_addresses 127.0.0.1
		health /health
	}
	respond /smuggled "smuggled"
	respond /short "no" 403
	reverse_proxy /dead localhost:1
	reverse_proxy %[10]s
}

https://` + receiver + `:{$PORT_ELSEWHERE} {
	%[2]s
	bars_receiver {
		certificate %[6]s %[7]s
		chain %[5]s
		proxy_addresses 192.0.2.1
	}
	respond /smuggled "smuggled"
	reverse_proxy %[10]s
}
`

// dial opens a raw connection to a site of the Caddyfile, over TLS where the site has it.
func (w *world) dial(site string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: patience}
	conn, err := dialer.Dial("tcp", "127.0.0.1:"+w.Port(site))
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	var settings *tls.Config
	switch site {
	case "CARDS", "READERS":
		settings = w.asGateway()
	case "RECEIVER", "ELSEWHERE":
		settings = w.asProxy()
	default:
		return conn, nil
	}
	secured := tls.Client(conn, settings)
	return secured, secured.Handshake()
}

// asGateway is how the gateway speaks to its agents.
func (w *world) asGateway() *tls.Config {
	file := func(suffix string) string {
		return w.Data("certificates/local/" + gateway.Name + "/" + gateway.Name + suffix)
	}
	certificate, err := tls.LoadX509KeyPair(file(".crt"), file(".key"))
	if err != nil {
		w.t.Fatal(err)
	}
	root, err := os.ReadFile(w.Data("pki/authorities/local/root.crt"))
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	return &tls.Config{ServerName: "localhost", RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

// asProxy is how the BaRS proxy speaks to receivers.
func (w *world) asProxy() *tls.Config {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(w.dir, proxy+".pem"), filepath.Join(w.dir, proxy+".key"))
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.authority.Root)
	return &tls.Config{ServerName: receiver, RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

// endpoint is a request that is refused before its body was read, or that its endpoint has no use for.
type endpoint struct {
	site    string // GATEWAY, where none is given
	request string // method and path
	header  string // lines, each with its end
	status  int    // what it is answered with where it can be, zero: whatever
}

func (e endpoint) port() string {
	if e.site == "" {
		return "GATEWAY"
	}
	return e.site
}

func (e endpoint) host(port string) string {
	switch e.site {
	case "RECEIVER", "ELSEWHERE":
		return receiver
	case "ADMIN":
		return "127.0.0.1:" + port
	case "DESK":
		return "localhost:" + port
	}
	return "localhost"
}

const (
	asText = "Content-Type: text/plain\r\n"
	asForm = "Content-Type: application/x-www-form-urlencoded\r\n"
	asJSON = "Content-Type: application/json\r\n"
	asFHIR = "Content-Type: application/fhir+json\r\n"
	target = "NHSD-Target-Identifier: eyJzeXN0ZW0iOiJ0ZXN0cyIsInZhbHVlIjoiTkhTMDAwMSJ9\r\n" // tests, NHS0001: built into the sandbox
)

var endpoints = []endpoint{
	{"", "POST /signing/signaturerequest", asText, http.StatusUnauthorized},
	{"", "POST /signing/nothing", asText, http.StatusNotFound},
	{"", "PUT /signing/signaturerequest", asText, http.StatusMethodNotAllowed},
	{"", "GET /signing/signatureresponse/f523a772-24f2-45d6-a8da-59b48de0231a", "", http.StatusUnauthorized},
	{"", "POST /open/signaturerequest", asForm, 0},
	{"", "POST /open/signaturerequest", asText, 0}, // 413 where it is too large, else it is read
	{"", "POST /open/client/open", asJSON, http.StatusForbidden},
	{"", "POST /open/client/sign", asJSON + "Origin: http://evil.example\r\n", http.StatusForbidden},
	{"", "POST /open/client/answer", asJSON, http.StatusForbidden},
	{"", "GET /open/client", "", http.StatusOK},
	{"", "GET /open/client/signed-in", "", http.StatusBadRequest},
	{"", "GET /open/page/app.js", "", 0},
	{"", "GET /open/jwks.json", "", http.StatusOK},
	{"", "GET /open/openapi.json", "", http.StatusOK},
	{"", "GET /open/_ping", "", http.StatusOK},
	{"", "GET /open/_status", "", http.StatusUnauthorized},
	{"", "POST /sandbox/signaturerequest", asForm, http.StatusUnsupportedMediaType},
	{"", "POST /sandbox/client/sign", "", 0},
	{"", "POST /oauth2/token", asText, http.StatusUnsupportedMediaType},
	{"", "POST /oauth2/token", asForm, 0}, // 413 where it is too large, else it is read
	{"", "PUT /oauth2/token", asForm, http.StatusMethodNotAllowed},
	{"", "POST /oauth2/nothing", asForm, http.StatusNotFound},
	{"", "OPTIONS /oauth2/token", "Origin: http://x\r\nAccess-Control-Request-Method: POST\r\n", http.StatusOK},
	{"", "GET /oauth2/_status", "", http.StatusUnauthorized},
	{"", "GET /oauth2/openapi.json", "", http.StatusOK},
	{"", "GET /oauth2/authorize", "", http.StatusBadRequest},
	{"", "POST /oauth2/authorize", asForm, http.StatusMethodNotAllowed},
	{"", "GET /oauth2/callback", "", http.StatusBadRequest},
	{"", "GET /oauth2/userinfo", "", http.StatusUnauthorized},
	{"", "POST /oauth2/backchannel-logout", asText, http.StatusBadRequest},
	{"", "POST /oauth2/backchannel-logout", asForm, 0},
	{"", "POST /oauth2/backchannel_logout", asForm, 0},
	{"", "POST /op/token", asForm, 0},
	{"", "POST /op/nothing", asForm, http.StatusNotFound},
	{"", "GET /op/authorize", "", http.StatusBadRequest},
	{"", "POST /bars/$process-message", asFHIR, http.StatusUnauthorized},
	{"", "POST /bars/nothing", asFHIR, http.StatusUnauthorized},
	{"", "GET /bars/_ping", "", http.StatusOK},
	{"", "GET /bars/openapi.json", "", http.StatusOK},
	{"", "POST /barsbox/Appointment/1", asFHIR + target, http.StatusNotFound},
	{"", "PUT /barsbox/Appointment/1", asFHIR + target, http.StatusNotFound},
	{"", "GET /barsbox/Slot", target, http.StatusOK},
	{"", "POST /barsbox/Appointment", asFHIR + target, 0},
	{"", "POST /barsbox/Appointment", asFHIR, http.StatusBadRequest},
	{"", "POST /api/x", asJSON, http.StatusUnauthorized},
	{"", "POST /fhir/x", asJSON + "Authorization: Bearer x\r\n", http.StatusUnauthorized},
	{"", "POST /send/x", asJSON, 0}, // reads what it may have to send again
	{"", "POST /providers/x", asJSON, 0},
	{"", "POST /tosend/x", asJSON, 0},
	{"", "POST /sent/x", asJSON, 0},
	{"", "POST /demo/sign", asForm, http.StatusMisdirectedRequest},
	{"", "POST /demo/webhook", asJSON, 0},
	{"", "POST /demo/nothing", asForm, http.StatusNotFound},
	{"", "POST /keys", "", http.StatusMethodNotAllowed},
	{"CARDS", "POST /sign", asText, http.StatusUnsupportedMediaType},
	{"CARDS", "POST /nothing", asText, http.StatusNotFound},
	{"CARDS", "GET /health", "", http.StatusOK},
	{"READERS", "PUT /sign", asText, http.StatusMethodNotAllowed},
	{"READERS", "POST /sign", asText, http.StatusUnsupportedMediaType},
	{"DESK", "POST /signalr/send", asForm, http.StatusForbidden},
	{"RECEIVER", "POST /short", asFHIR, http.StatusUnprocessableEntity},
	{"RECEIVER", "POST /dead", asFHIR, http.StatusServiceUnavailable},
	{"RECEIVER", "POST /x", asFHIR, 0}, // the system behind answers early
	{"RECEIVER", "POST /health", asText, http.StatusOK},
	{"ELSEWHERE", "POST /x", asFHIR, http.StatusForbidden},
	{"ADMIN", "POST /countersign/deliveries/x/replay", asJSON, http.StatusNotFound},
	{"ADMIN", "POST /countersign/backup", "", 0},
	{"ADMIN", "GET /countersign/live", "", http.StatusOK},
	{"ADMIN", "GET /countersign/openapi.json", "", http.StatusOK},
}
