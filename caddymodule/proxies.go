package caddymodule

import "github.com/seed-dd2befc3/countersign/bars"

// ProxyStatus is a bars_proxy as the admin endpoint tells of it.
type ProxyStatus struct {
	Environment Environment        `json:"environment"`
	Targets     int                `json:"targets"` // of the Caddyfile
	Catalogue   *bars.SourceStatus `json:"catalogue,omitempty"`
}

// ReportProxy has the admin endpoint and the metrics tell of a bars_proxy, which calls it in Provision.
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

// catalogues tells how the endpoint catalogues of this configuration are.
func (a *App) catalogues() []bars.SourceStatus {
	var all []bars.SourceStatus
	for _, proxy := range a.proxyStatus() {
		if proxy.Catalogue != nil {
			all = append(all, *proxy.Catalogue)
		}
	}
	return all
}
