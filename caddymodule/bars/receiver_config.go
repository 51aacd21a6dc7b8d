package bars

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
)

// Provision reads the chain and the certificate, and refuses a site whose TLS is too weak.
func (rc *Receiver) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err == nil {
		err = rc.provision(ctx, app)
	}
	if err != nil {
		return fmt.Errorf("bars_receiver %s: %w", strings.Join(rc.FQDN, " "), err)
	}
	return nil
}

func (rc *Receiver) provision(ctx caddy.Context, app *caddymodule.App) error {
	rc.logger, rc.metrics = ctx.Slogger(), app.Metrics()
	rc.expiry = &expiryWatch{logger: rc.logger, now: app.Now}
	if rc.Timeout == 0 {
		rc.Timeout = caddy.Duration(receiverTimeout)
	}
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("not part of an HTTP server, so its TLS cannot be checked")
	}
	site := receiverSite{server: server, trust: rc.settled(app), app: app}
	if len(rc.FQDN) == 0 {
		rc.FQDN = site.names(rc.Certificate)
	}
	if err := rc.check(); err != nil {
		return err
	}
	var err error
	if rc.trust, err = rc.ReceiverTrust.provision(ctx, app); err != nil {
		return err
	}
	if err := rc.checkFQDN(); err != nil {
		return err
	}
	if err := site.check(rc.FQDN); err != nil {
		return err
	}
	if rc.allowed, err = rc.Allowed(); err != nil {
		return err
	}
	if err := rc.provisionCertificate(app); err != nil {
		return err
	}
	app.Expiries().Watch("bars_receiver_chain", rc.trust.Chain...)
	rc.expiry.certificates = append(rc.expiry.certificates, rc.trust.Chain...)
	app.OnStart(rc.expiry.remind)
	return nil
}

// check refuses invalid settings.
func (rc *Receiver) check() error {
	switch {
	case time.Duration(rc.Timeout) < 0 || time.Duration(rc.Timeout) > receiverTimeout:
		return fmt.Errorf("timeout %s is over 30s: the proxy gives up after 32s", time.Duration(rc.Timeout))
	case rc.Health != "" && !strings.HasPrefix(rc.Health, "/"):
		return fmt.Errorf("health %q is not a path: it must begin with /", rc.Health)
	}
	return nil
}

// checkFQDN checks the names against the environment and the naming rules.
func (rc *Receiver) checkFQDN() error {
	if len(rc.FQDN) == 0 {
		return errors.New("no name: use the system's FQDN as the site's address, or add fqdn")
	}
	environment := bars.Environment(rc.Environment)
	for _, name := range rc.FQDN {
		if bars.EnvironmentOf(name) == environment.Other() {
			return fmt.Errorf("%s is a name of the %s environment, but this site's chain is for %s: correct the name, or environment and chain", name, environment.Other(), environment)
		}
		if _, err := bars.ParseFQDN(name); err != nil {
			if err := rc.broken(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// broken handles a broken rule: a warning, or with strict a refusal.
func (rc *Receiver) broken(err error) error {
	if rc.Strict {
		return err
	}
	rc.logger.Warn("a naming rule is broken", slog.Any("error", err))
	return nil
}

// Allowed returns the addresses that calls may come from, or nil for any.
func (rc *Receiver) Allowed() ([]netip.Prefix, error) {
	environment := bars.Environment(rc.Environment)
	if len(rc.ProxyAddresses) == 0 {
		return bars.Egress(environment), nil
	}
	if len(rc.ProxyAddresses) == 1 && rc.ProxyAddresses[0] == "any" {
		return nil, rc.Environment.Forbid(nil, caddymodule.Risk{Rule: caddymodule.RuleAnyAddress, What: "proxy_addresses any"})
	}
	var allowed []netip.Prefix
	for _, text := range rc.ProxyAddresses {
		prefix, err := bars.ParseEgress(text)
		if err != nil {
			return nil, fmt.Errorf("proxy_addresses: %w", err)
		}
		allowed = append(allowed, prefix)
	}
	if err := bars.CheckEgress(environment, allowed); err != nil {
		return nil, fmt.Errorf("proxy_addresses: %w", err)
	}
	return allowed, nil
}

// provisionCertificate checks the system's own certificate. An expired one is only logged, so that the gateway's
// other sites still start.
func (rc *Receiver) provisionCertificate(app *caddymodule.App) error {
	if rc.Certificate == "" {
		return nil
	}
	file, err := bars.ReadCertificates(rc.Certificate)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if err := bars.CheckIssued(file, rc.trust.Chain); err != nil {
		return fmt.Errorf("certificate %s: %w", rc.Certificate, err)
	}
	for _, name := range rc.FQDN {
		if err := bars.CheckServes(file[0], name); err != nil {
			return fmt.Errorf("certificate %s: %w", rc.Certificate, err)
		}
		if err := bars.CheckNames(file[0], name); err != nil {
			if err := rc.broken(err); err != nil {
				return fmt.Errorf("certificate %s: %w", rc.Certificate, err)
			}
		}
	}
	app.Expiries().Watch("bars_receiver", file[0])
	rc.expiry.certificates = append(rc.expiry.certificates, file[0])
	return nil
}
