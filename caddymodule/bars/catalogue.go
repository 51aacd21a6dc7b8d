package bars

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// catalogueSource is an endpoint catalogue that is read again and again and survives a reload.
type catalogueSource struct {
	*bars.Source
	client *http.Client
}

// Destruct stops reading.
func (c *catalogueSource) Destruct() error {
	c.Close()
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	return nil
}

// provisionCatalogue reads the Caddyfile's targets and gets or makes the source of the others. A file is read here; a
// URL is fetched after the configuration has started.
func (b *Proxy) provisionCatalogue(rules outbound.Options) error {
	entries := make(map[bars.Target]string, len(b.Targets))
	for _, t := range b.Targets {
		target := bars.Target{System: t.System, Value: t.Value}
		if entries[target] != "" {
			return fmt.Errorf("target %s %s is given twice", t.System, t.Value)
		}
		entries[target] = t.URL
	}
	names := bars.Rules{Loose: b.Environment == caddymodule.Sandbox, Name: nameRule(b.Environment), Strict: b.StrictNames}
	var err error
	if b.inline, err = bars.NewCatalogue(entries, names); err != nil {
		return err
	}
	for _, unusual := range b.inline.Unusual() {
		b.logger.Warn("a target's name breaks the naming rules", "target", unusual)
	}
	if b.Catalogue == "" {
		return nil
	}
	options := bars.SourceOptions{Every: time.Duration(b.CatalogueEvery), Rules: names, Now: b.app.Now, Logger: b.logger}
	if address, err := url.Parse(b.Catalogue); err == nil && address.Host != "" {
		if err := b.Environment.CheckAddress("catalogue", b.Catalogue); err != nil {
			return err
		}
		if err := rules.CheckURL(address); err != nil {
			return fmt.Errorf("catalogue: %w", err)
		}
		options.URL, options.HTTP = b.Catalogue, outbound.New(rules)
	} else {
		options.File = b.Catalogue
	}
	key := fmt.Sprintf("bars catalogue %q %s %v %s %v", b.Catalogue, b.Environment, b.StrictNames, options.Every, rules.AllowNetworks)
	source, err := b.source.Acquire(key, func() (*catalogueSource, error) {
		return &catalogueSource{bars.NewSource(options), options.HTTP}, nil
	})
	if err != nil {
		return err
	}
	b.app.OnStart(func(context.Context) { source.Start() })
	return source.First()
}

// status returns the proxy's status for the admin endpoint.
func (b *Proxy) status() caddymodule.ProxyStatus {
	status := caddymodule.ProxyStatus{Environment: b.Environment, Targets: b.inline.Size()}
	if source, held := b.source.Held(); held {
		catalogue := source.Status()
		status.Catalogue = &catalogue
	}
	return status
}

// health returns the answer of /_status.
func (b *Proxy) health() map[string]any {
	build := caddymodule.Version()
	check := map[string]any{"status": "pass", "timeout": "false", "responseCode": http.StatusOK, "outcome": "OK", "links": map[string]string{"self": ""}}
	if source, held := b.source.Held(); held {
		status := source.Status()
		check["links"] = map[string]string{"self": status.Source}
		if _, outcome := source.Current(); outcome != nil {
			check["status"], check["responseCode"], check["outcome"] = "fail", http.StatusServiceUnavailable, outcome.Text
		} else if status.Error != "" {
			check["status"], check["outcome"] = "warn", "the last good catalogue is used: "+status.Error
		}
	}
	return map[string]any{
		"version": build.Version, "revision": build.Revision, "releaseId": build.ReleaseID, "commitId": build.CommitID,
		"status": check["status"], "checks": map[string]any{"catalogue": check},
	}
}
