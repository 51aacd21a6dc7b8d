package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// catalogueSource is an endpoint catalogue that is looked at again and again, also over a reload.
type catalogueSource struct {
	*bars.Source
	client *http.Client
}

// Destruct ends the looking.
func (c *catalogueSource) Destruct() error {
	c.Close()
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	return nil
}

// provisionCatalogue reads the targets of the Caddyfile, and finds the source of the others or makes it. A file is
// read here; an address is asked once the configuration has started.
func (b *BarsProxy) provisionCatalogue(rules outbound.Options) error {
	entries := make(map[bars.Target]string, len(b.Targets))
	for _, t := range b.Targets {
		target := bars.Target{System: t.System, Value: t.Value}
		if entries[target] != "" {
			return fmt.Errorf("target %s %s is there twice", t.System, t.Value)
		}
		entries[target] = t.URL
	}
	names := bars.Rules{Loose: b.Environment == Sandbox, Name: b.Environment.nameRule(), Strict: b.StrictNames}
	var err error
	if b.inline, err = bars.NewCatalogue(entries, names); err != nil {
		return err
	}
	for _, unusual := range b.inline.Unusual() {
		b.logger.Warn("a target's name breaks the rules for names", "target", unusual)
	}
	if b.Catalogue == "" {
		return nil
	}
	options := bars.SourceOptions{Every: time.Duration(b.CatalogueEvery), Rules: names, Now: b.app.now, Logger: b.logger}
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

// catalogues tells how the endpoint catalogues of this configuration are.
func (a *App) catalogues() []bars.SourceStatus {
	var all []bars.SourceStatus
	for _, proxy := range a.proxies {
		if source, held := proxy.source.Held(); held {
			all = append(all, source.Status())
		}
	}
	return all
}

// proxyStatus is a bars_proxy as the admin endpoint tells of it.
type proxyStatus struct {
	Environment Environment        `json:"environment"`
	Targets     int                `json:"targets"` // of the Caddyfile
	Catalogue   *bars.SourceStatus `json:"catalogue,omitempty"`
}

func (a *App) proxyStatus() []proxyStatus {
	all := []proxyStatus{}
	for _, proxy := range a.proxies {
		status := proxyStatus{Environment: proxy.Environment, Targets: proxy.inline.Size()}
		if source, held := proxy.source.Held(); held {
			catalogue := source.Status()
			status.Catalogue = &catalogue
		}
		all = append(all, status)
	}
	return all
}

// health is the answer of /_status.
func (b *BarsProxy) health() map[string]any {
	build := version()
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
