package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// receiverName is the receiver's in the benchmark of BaRS.
const receiverName = "bars-int-x26.bench.thirdparty.nhs.uk"

// What takes part in the benchmark of BaRS: sender, proxy and receiver in one process, over mutual TLS from the second
// to the third. The last of them answers by itself.
var (
	brokered = subject{name: "Countersign BaRS", start: startBars(barsCaddyfile), path: "/$process-message", headers: barsHeaders}
	plain    = subject{name: "Caddy reverse_proxy", start: startBars(plainCaddyfile), path: "/$process-message", headers: barsHeaders}
)

// barsHeaders are those of an application: the target is {"system":"s","value":"v"}.
const barsHeaders = "NHSD-Target-Identifier: eyJzeXN0ZW0iOiJzIiwidmFsdWUiOiJ2In0=\r\nX-Correlation-Id: 6d2a3bb1-5a0b-4f8e-9f7b-3a1f6d3c9e11\r\n"

// bars compares the way from sender to receiver with the same way over Caddy's plain reverse_proxy: under load, and
// with one request at a time.
func (b *bench) bars(ctx context.Context) error {
	before := b.pool
	defer func() { b.pool = before }()
	b.pool = &pool{make: referral, file: filepath.Join(b.dir, "referrals")}
	subjects := []subject{brokered, plain}
	fmt.Fprintf(b.out, "bars: %d rounds of %d messages, sender, proxy and receiver, 16 clients, closed loop\n", b.rounds, b.requests)
	loaded, err := b.takeTurns(ctx, subjects, load{Count: b.requests, Clients: 16})
	if err != nil {
		return err
	}
	b.table(subjects, loaded)
	b.ratio(loaded, "CPU per request", perRequest, brokered, plain, "≤ 1.25")
	b.ratio(loaded, "rate", throughput, brokered, plain, "none")
	fmt.Fprintf(b.out, "bars: the same, one client\n")
	alone, err := b.takeTurns(ctx, subjects, load{Count: max(b.requests/4, 100), Clients: 1})
	if err != nil {
		return err
	}
	b.table(subjects, alone)
	b.ratio(alone, "CPU per request", perRequest, brokered, plain, "≤ 1.25")
	b.difference(alone, "median", p50, median, brokered, plain, "≤ 0.3 ms")
	return nil
}

// referral is a message of some 3 KB.
func referral(n int) []byte {
	entry := func(resource map[string]any) map[string]any { return map[string]any{"resource": resource} }
	text, err := json.Marshal(map[string]any{"resourceType": "Bundle", "type": "message", "entry": []any{
		entry(map[string]any{"resourceType": "MessageHeader", "id": fmt.Sprintf("a1b2c3d4-0000-4000-8000-%012d", n),
			"reason": map[string]any{"coding": []any{map[string]string{"code": "new"}}}}),
		entry(map[string]any{"resourceType": "ServiceRequest", "status": "active", "intent": "order", "note": strings.Repeat("Lorem ipsum. ", 200)}),
	}})
	if err != nil {
		panic(err) // strings and numbers
	}
	return text
}

// barsPorts are where sender, proxy and receiver listen.
type barsPorts struct{ sender, proxy, receiver int }

// barsFiles are the keys and certificates.
type barsFiles struct{ public, private, chain, proxy, proxyKey, receiver, receiverKey string }

func startBars(caddyfile func(options string, ports barsPorts, files barsFiles) string) func(context.Context, *bench, string) (*server, error) {
	return func(ctx context.Context, _ *bench, dir string) (*server, error) {
		files, err := newBarsFiles(dir)
		if err != nil {
			return nil, err
		}
		var ports barsPorts
		var failed, again error
		ports.proxy, failed = freePort()
		ports.receiver, again = freePort()
		if err := errors.Join(failed, again); err != nil {
			return nil, err
		}
		return startCaddy(ctx, dir, gatewayBinary, func(port int, options string) string {
			ports.sender = port
			return caddyfile(options, ports, files)
		})
	}
}

func barsCaddyfile(options string, ports barsPorts, files barsFiles) string {
	return fmt.Sprintf(`{%[1]s
	countersign {
		environment int
		store memory
		client sender {
			key sender-1 %[5]s
			products bars
		}
		product bars {
			scopes urn:nhsd:apim:app:level3:booking-and-referral
		}
	}
}
http://:%[2]d {
	apim_sender {
		client sender
		key sender-1 %[6]s
		token_url http://localhost:%[3]d/oauth2/token
		bars {
			base_url http://localhost:%[3]d/FHIR/R4
		}
	}
}
http://:%[3]d {
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:%[3]d/oauth2
		}
	}
	handle_path /FHIR/R4/* {
		bars_proxy {
			target s v https://%[12]s:%[4]d
			resolve %[12]s 127.0.0.1
			rate 1000000000/m
			rate_overall 1000000000/s
			tls_client_auth %[8]s %[9]s
			tls_trust_pool file %[7]s
		}
	}
}
https://%[12]s:%[4]d {
	bars_receiver {
		certificate %[10]s %[11]s
		chain %[7]s
		proxy_addresses 127.0.0.1
	}
	respond %[13]s
}
`, options, ports.sender, ports.proxy, ports.receiver, files.public, files.private, files.chain, files.proxy, files.proxyKey,
		files.receiver, files.receiverKey, receiverName, barsAnswer)
}

func plainCaddyfile(options string, ports barsPorts, files barsFiles) string {
	return fmt.Sprintf(`{%[1]s}
http://:%[2]d {
	reverse_proxy localhost:%[3]d
}
http://:%[3]d {
	reverse_proxy https://localhost:%[4]d {
		header_up Host %[10]s:%[4]d
		transport http {
			tls_client_auth %[6]s %[7]s
			tls_trust_pool file %[5]s
			tls_server_name %[10]s
		}
	}
}
https://%[10]s:%[4]d {
	tls %[8]s %[9]s {
		client_auth {
			mode require_and_verify
			trust_pool file %[5]s
		}
	}
	respond %[11]s
}
`, options, ports.sender, ports.proxy, ports.receiver, files.chain, files.proxy, files.proxyKey, files.receiver, files.receiverKey,
		receiverName, barsAnswer)
}

const barsAnswer = "`{\"resourceType\":\"Bundle\",\"type\":\"message\"}`"
