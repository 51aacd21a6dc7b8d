package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// What takes part, under the names it has in the tables.
var (
	onMemory = subject{name: "Countersign, store memory", start: startGateway(gatewayBinary, "memory"), path: "/signaturerequest"}
	onBadger = subject{name: "Countersign, store badger", start: startGateway(gatewayBinary, "badger"), path: "/signaturerequest"}
	naive    = subject{name: "Caddy with golang-jwt", start: startNaive, path: "/signaturerequest"}
	haproxy  = subject{name: "HAProxy jwt_verify", start: startHAProxy, path: "/signaturerequest"}
	respond  = subject{name: "Caddy respond", start: startRespond, path: "/signaturerequest"}
)

// caddyOptions are the same for all that are Caddy.
const caddyOptions = `
	admin %s
	persist_config off
	auto_https off
	default_bind 127.0.0.1
	skip_install_trust
`

// otherBuild is another build of the gateway, to see what a change is worth.
func otherBuild(binary string) subject {
	return subject{name: "the other build, store badger", start: startGateway(binary, "badger"), path: "/signaturerequest"}
}

// startGateway starts a binary with one store or another.
func startGateway(binary, store string) func(context.Context, *bench, string) (*server, error) {
	return func(ctx context.Context, b *bench, dir string) (*server, error) {
		return startCaddy(ctx, dir, binary, func(port int, options string) string {
			return fmt.Sprintf(`{%s
	countersign {
		environment int
		store %s
		client %s {
			key %s %s
			callback http://localhost/signed
		}
	}
}
http://:%d {
	signing_service {
		public_url %[8]s
		access open
		mock https://localhost:1 {
			tls_client_auth %[7]s %[7]s
			tls_trust_pool file %[7]s
		}
		certificates {
			trust mock
		}
		clock_skew 2h
	}
}
`, options, store, clientID, kid, b.key.file, port, b.certificate, baseURL)
		})
	}
}

func startNaive(ctx context.Context, b *bench, dir string) (*server, error) {
	return startCaddy(ctx, dir, naiveBinary, func(port int, options string) string {
		return fmt.Sprintf("{%s}\nhttp://:%d {\n\tnaive %s %s %s %s\n}\n", options, port, kid, b.key.file, clientID, baseURL)
	})
}

func startRespond(ctx context.Context, _ *bench, dir string) (*server, error) {
	return startCaddy(ctx, dir, gatewayBinary, func(port int, options string) string {
		return fmt.Sprintf("{%s}\nhttp://:%d {\n\trespond `{\"token\":\"a1b2c3d4-0000-4000-8000-000000000000\"}`\n}\n", options, port)
	})
}

// startCaddy starts a Caddy with a configuration for a port, or again with the one that the directory has.
func startCaddy(ctx context.Context, dir, binary string, caddyfile func(port int, options string) string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	admin := filepath.Join(dir, "admin.sock")
	text := caddyfile(port, fmt.Sprintf(caddyOptions, "unix/"+admin))
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return launch(ctx, dir, port, binary, "run", "--config", "Caddyfile")
}

// startHAProxy verifies the same JWT in the same body with the same key, looks at nothing in it, and answers by itself.
func startHAProxy(ctx context.Context, b *bench, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`global
	maxconn 1000
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend bench
	bind %s
	option http-buffer-request
	http-request set-var(txn.jwt) req.body
	http-request set-var(txn.alg) var(txn.jwt),jwt_header_query('$.alg')
	http-request deny deny_status 401 unless { var(txn.alg) -m str RS512 }
	http-request deny deny_status 401 unless { var(txn.jwt),jwt_verify(txn.alg,"%s") 1 }
	http-request return status 200 content-type application/json string '{"token":"a1b2c3d4-0000-4000-8000-000000000000"}'
`, loopback(port), b.key.file)
	if err := os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return launch(ctx, dir, port, "/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg")
}
