package caddymodule

import "github.com/seed-dd2befc3/countersign/bars"

// ProxyStatus is the state of a bars_proxy for the admin endpoint.
type ProxyStatus struct {
	Environment Environment        `json:"environment"`
	Targets     int                `json:"targets"` // of the Caddyfile
	Catalogue   *bars.SourceStatus `json:"catalogue,omitempty"`
}

// ReportProxy adds a bars_proxy to the admin endpoint and the metrics. bars_proxy calls it in Provision.
func (a *App) ReportProxy(status func() ProxyStatus) {
	a.proxies = append(a.proxies, status)
}

func (a *App) proxyStatus() []ProxyStatus {
	all := make([]ProxyStatus, len(a.proxies))
	for i, status := range a.proxies {
		all[i] = status()
	}
	return all
}

// catalogues returns the state of this configuration's endpoint catalogues.
func (a *App) catalogues() []bars.SourceStatus {
	var all []bars.SourceStatus
	for _, proxy := range a.proxyStatus() {
		if proxy.Catalogue != nil {
			all = append(all, *proxy.Catalogue)
		}
	}
	return all
}
