package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	caddybars "github.com/seed-dd2befc3/countersign/caddymodule/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule/sender"
)

// patients are the senders and receivers of a configuration.
type patients struct {
	senders   []senderSubject
	receivers []receiverSubject
}

// findPatients finds the handlers apim_sender and bars_receiver in a configuration, at any depth. It provisions nothing.
func findPatients(config []byte) (patients, error) {
	var parsed struct {
		Apps struct {
			Countersign struct {
				Environment caddymodule.Environment `json:"environment"`
			} `json:"countersign"`
			HTTP json.RawMessage `json:"http"`
			TLS  struct {
				Certificates struct {
					Files []struct{ Certificate, Key string } `json:"load_files"`
				} `json:"certificates"`
			} `json:"tls"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		return patients{}, fmt.Errorf("reading the configuration: %w", err)
	}
	var tree any
	if len(parsed.Apps.HTTP) > 0 {
		if err := json.Unmarshal(parsed.Apps.HTTP, &tree); err != nil {
			return patients{}, err
		}
	}
	keys := map[string]string{}
	for _, file := range parsed.Apps.TLS.Certificates.Files {
		keys[file.Certificate] = file.Key
	}
	var found patients
	err := walk(tree, nil, func(handler string, raw []byte, hosts []string) error {
		switch handler {
		case "apim_sender":
			var s sender.Sender
			if err := json.Unmarshal(raw, &s); err != nil {
				return err
			}
			return found.addSender(&s, parsed.Apps.Countersign.Environment)
		case "bars_receiver":
			var rc caddybars.Receiver
			if err := json.Unmarshal(raw, &rc); err != nil {
				return err
			}
			found.addReceiver(&rc, parsed.Apps.Countersign.Environment, hosts, keys)
		}
		return nil
	})
	return found, err
}

// walk visits every handler, with the hosts that its site is for.
func walk(node any, hosts []string, visit func(handler string, raw []byte, hosts []string) error) error {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			if err := walk(child, hosts, visit); err != nil {
				return err
			}
		}
	case map[string]any:
		if matched := hostsOf(node["match"]); matched != nil {
			hosts = matched
		}
		if handler, ok := node["handler"].(string); ok {
			raw, err := json.Marshal(node)
			if err != nil {
				return err
			}
			if err := visit(handler, raw, hosts); err != nil {
				return fmt.Errorf("%s: %w", handler, err)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(node)) {
			if err := walk(node[name], hosts, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// hostsOf are the hosts of a route's matchers.
func hostsOf(match any) []string {
	var hosts []string
	sets, _ := match.([]any)
	for _, set := range sets {
		matchers, _ := set.(map[string]any)
		names, _ := matchers["host"].([]any)
		for _, name := range names {
			if name, ok := name.(string); ok {
				hosts = append(hosts, name)
			}
		}
	}
	return hosts
}

func (p *patients) addSender(s *sender.Sender, environment caddymodule.Environment) error {
	if s.Environment == "" {
		s.Environment = environment
	}
	if s.Environment == caddymodule.Sandbox {
		return nil // it takes no token
	}
	if s.TokenURL == "" {
		s.TokenURL = s.Environment.TokenURL()
	}
	if s.Audience == "" {
		s.Audience = s.TokenURL
	}
	all := []*sender.Keys{&s.Keys}
	for _, name := range slices.Sorted(maps.Keys(s.Providers)) {
		if keys := s.Providers[name]; keys != nil {
			if keys.Client == "" {
				keys.Client = s.Client
			}
			all = append(all, keys)
		}
	}
	for _, keys := range all {
		client, err := caddy.NewReplacer().ReplaceOrErr(keys.Client, true, true)
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		for _, key := range []*sender.Key{keys.Key, keys.Next} {
			if key != nil {
				p.senders = append(p.senders, senderSubject{environment: s.Environment, tokenURL: s.TokenURL, audience: s.Audience, client: client, kid: key.KID, keyFile: key.Path})
			}
		}
	}
	return nil
}

func (p *patients) addReceiver(rc *caddybars.Receiver, environment caddymodule.Environment, hosts []string, keys map[string]string) {
	if rc.Environment == "" {
		rc.Environment = environment
	}
	if len(rc.FQDN) == 0 {
		rc.FQDN = hosts
	}
	p.receivers = append(p.receivers, receiverSubject{
		environment: bars.Environment(rc.Environment), fqdn: rc.FQDN, certificate: rc.Certificate, key: keys[rc.Certificate],
		chain: rc.Chain, pool: rc.TrustPoolRaw != nil, crl: rc.CRL, addresses: rc.ProxyAddresses,
	})
}
