package bars

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

func init() {
	httpcaddyfile.RegisterDirective("bars_receiver", parseReceiver)
}

// parseReceiver makes a receiver's site except for reverse_proxy: its certificate, its connection policy with client
// authentication, and the handler.
//
//	bars_receiver {
//		environment     int|prod
//		certificate     <PEM file> <key file>
//		chain           <PEM file...>
//		trust_pool      <module> …
//		client_subject  <name...>
//		crl             <file...>
//		fqdn            <name...>
//		strict
//		proxy_addresses <address or network...>|any
//		client_ip
//		timeout         <duration>
//		health          <path>
//	}
func parseReceiver(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // bars_receiver
	if h.NextArg() {
		return nil, h.Err("bars_receiver takes no argument or matcher: it applies to its whole site")
	}
	rc := &Receiver{}
	var files caddytls.FileLoader
	options := rc.options()
	options["certificate"] = func(d *caddyfile.Dispenser) error {
		var pair caddytls.CertKeyFilePair
		if len(files) > 0 || !d.Args(&pair.Certificate, &pair.Key) || d.NextArg() {
			return d.Err("certificate takes a PEM file and its key file, and is given once")
		}
		rc.Certificate, pair.Tags = pair.Certificate, []string{certificateTag(pair.Certificate)}
		files = append(files, pair)
		return nil
	}
	if err := options.Block(h.Dispenser, "bars_receiver"); err != nil {
		return nil, err
	}
	values := h.NewRoute(nil, rc)
	policy := &caddytls.ConnectionPolicy{ProtocolMin: "tls1.2", ClientAuthentication: &caddytls.ClientAuthentication{Mode: "require_and_verify", CARaw: rc.TrustPoolRaw}}
	if rc.TrustPoolRaw == nil {
		policy.ClientAuthentication.CARaw = caddyconfig.JSONModuleObject(caddytls.FileCAPool{TrustedCACertPEMFiles: rc.Chain}, "provider", "file", nil)
	}
	policy.ClientAuthentication.VerifiersRaw = append(policy.ClientAuthentication.VerifiersRaw,
		caddyconfig.JSONModuleObject(ReceiverVerifier{ReceiverTrust: rc.ReceiverTrust}, "verifier", "bars", nil))
	if len(files) > 0 {
		policy.CertSelection = &caddytls.CustomCertSelectionPolicy{AnyTag: files[0].Tags}
		values = append(values, httpcaddyfile.ConfigValue{Class: "tls.cert_loader", Value: files})
	}
	return append(values, httpcaddyfile.ConfigValue{Class: "tls.connection_policy", Value: policy}), nil
}

func (rc *Receiver) options() parse.Options {
	return parse.Options{
		"environment":     parse.One(&rc.Environment),
		"chain":           parse.List(&rc.Chain),
		"trust_pool":      rc.parseTrustPool,
		"client_subject":  parse.List(&rc.ClientSubjects),
		"crl":             parse.List(&rc.CRL),
		"fqdn":            parse.List(&rc.FQDN),
		"proxy_addresses": parse.List(&rc.ProxyAddresses),
		"strict":          parse.Flag(&rc.Strict),
		"client_ip":       parse.Flag(&rc.ClientIP),
		"timeout":         parse.Duration(&rc.Timeout),
		"health":          parse.One(&rc.Health),
	}
}

func (rc *Receiver) parseTrustPool(d *caddyfile.Dispenser) error {
	if !d.NextArg() || rc.TrustPoolRaw != nil {
		return d.ArgErr()
	}
	provider := d.Val()
	pool, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+provider)
	if err != nil {
		return err
	}
	rc.TrustPoolRaw = caddyconfig.JSONModuleObject(pool, "provider", provider, nil)
	return nil
}
