package gateway

// What the Caddyfiles of all worlds have in common.
const (
	// Options are global options of a gateway that leaves the machine as it is, listens here alone, and has a CA of its
	// own.
	Options = `	auto_https disable_redirects
	grace_period 5s
	default_bind 127.0.0.1
	skip_install_trust
	local_certs
`

	// Name is what the gateway's client certificate says.
	Name = "gateway.countersign.internal"

	// MutualTLS are the lines of a client that shows the gateway's certificate, and trusts a site of its own CA.
	MutualTLS = `tls_client_auth ` + Name + `
	tls_trust_pool pki_root {
		authority local
	}
`

	// DemandMutualTLS are the lines of a site that serves nobody without a certificate of the gateway's own CA.
	DemandMutualTLS = `	tls internal {
		client_auth {
			mode require_and_verify
			trust_pool pki_root {
				authority local
			}
		}
	}
`
)
