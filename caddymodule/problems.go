package caddymodule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/oauth/openid"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

const (
	expiresSoon = 30 * 24 * time.Hour // remaining validity at which a certificate is reported
	hookIsLate  = 30 * time.Minute    // age at which a waiting webhook is reported
	crowdIsOver = 5 * time.Minute     // how long a full pool is reported after its last hold was given up
	passing     = "pass"              // outcome of a service's check
	agentCheck  = "agent:"            // prefix of a check's name, before the agent's address
)

// problems lists what is wrong now, the store first. Unlike the alert rules, it does not wait until a problem has lasted.
func problems(status gatewayStatus, hooks webhook.Stats, expiries []metrics.Expiry, now time.Time) []adminapi.Problem {
	found := problemList{}
	if err := cmp.Or(status.Store.Error, status.Store.WriteError); err != "" {
		found.add(err, "The session store refuses reads or writes")
	}
	for _, module := range status.Modules {
		if module.Error != "" {
			found.add(module.Error, "PKCS#11 module %s cannot be used", module.Path)
		}
	}
	found.audited(status.Audit)
	found.kept(status.Audit)
	for _, service := range status.Services {
		for _, name := range slices.Sorted(maps.Keys(service.Checks)) {
			if agent, is := strings.CutPrefix(name, agentCheck); is && service.Checks[name].Status != passing {
				found.add(service.Checks[name].Outcome, "Smartcard agent %s fails", agent)
			}
		}
	}
	found.unread(status)
	found.expiring(expiries, now)
	found.undelivered(hooks, now)
	found.crowded(status.pools, now)
	return found
}

type problemList []adminapi.Problem

func (l *problemList) add(detail, what string, args ...any) {
	*l = append(*l, adminapi.Problem{What: fmt.Sprintf(what, args...), Detail: detail})
}

// audited adds the problems of the audit log and of the logs of other nodes kept in the store.
func (l *problemList) audited(log *adminapi.Audit) {
	if log == nil {
		return
	}
	if log.Error != "" {
		l.add(log.Error, "The audit log cannot be written")
	}
	if log.HeadError != "" {
		l.add(log.HeadError, "The audit log's head cannot be signed")
	}
	for _, m := range log.Missing {
		l.add(fmt.Sprintf("last known head: %d:%s of %s", m.Head.Number, m.Head.Hash, m.Head.Time.UTC().Format(time.RFC3339)),
			"The audit log of node %s does not match its last known head: %s", m.Node, m.What)
	}
}

// kept adds what prevents files of the audit log from being removed, except a hold, which is intended.
func (l *problemList) kept(log *adminapi.Audit) {
	if log == nil {
		return
	}
	if log.KeepError != "" {
		l.add(log.KeepError, "Files of the audit log could not be removed")
	}
	if log.Waiting > 0 {
		l.add(fmt.Sprintf("%d of them", log.Waiting), "Files of the audit log are older than keep and wait for a head to be handed outside")
	}
}

// unread adds outside documents that could not be read: key sets, providers, catalogues, revocation lists.
func (l *problemList) unread(status gatewayStatus) {
	for _, client := range status.Clients {
		for _, set := range client.KeySets {
			switch {
			case client.Status != statusRevoked && set.Error == "" && len(set.Keys) == 0 && len(set.Skipped) > 0:
				l.add(strings.Join(set.Skipped, "; "), "No key in the key set of client %s can be used", client.ID)
			case set.Error == "" || client.Status == statusRevoked:
			case set.Read.IsZero():
				l.add(set.Error, "The key set of client %s was never read, so its requests are refused", client.ID)
			default:
				l.add(set.Error, "The key set of client %s cannot be read", client.ID)
			}
		}
	}
	for _, provider := range status.OpenID {
		if err := providerError(provider); err != "" {
			l.add(err, "OpenID provider %s cannot be read", provider.Issuer)
		}
	}
	for _, proxy := range status.Proxies {
		if proxy.Catalogue != nil && proxy.Catalogue.Error != "" {
			l.add(proxy.Catalogue.Error, "Endpoint catalogue %s could not be read", proxy.Catalogue.Source)
		}
	}
	if lists := status.Revocations; lists.Missing+lists.Expired > 0 {
		l.add(fmt.Sprintf("%d missing, %d expired", lists.Missing, lists.Expired), "Revocation lists are missing or should have been renewed")
	}
}

// expiring adds certificates that expire soon, earliest first. Certificates that Caddy manages may live only for hours;
// Caddy renews them at a third of their lifetime, so they are reported below a quarter.
func (l *problemList) expiring(expiries []metrics.Expiry, now time.Time) {
	slices.SortFunc(expiries, func(a, b metrics.Expiry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Subject, b.Subject)) })
	for _, of := range expiries {
		if left := of.At.Sub(now); left < expiresSoon && (of.From.IsZero() || left < of.At.Sub(of.From)/4) {
			l.add(of.At.UTC().Format(time.DateOnly), "Certificate %s (%s) expires within 30 days", of.Subject, of.Kind)
		}
	}
}

// undelivered adds webhooks that cannot be delivered.
func (l *problemList) undelivered(hooks webhook.Stats, now time.Time) {
	for _, client := range slices.Sorted(maps.Keys(hooks)) {
		if oldest := hooks[client].Oldest; !oldest.IsZero() && now.Sub(oldest) > hookIsLate {
			l.add(fmt.Sprintf("%d wait", hooks[client].Pending), "Client %s has not accepted a webhook for half an hour", client)
		}
		if dead := hooks[client].Dead; dead > 0 {
			l.add(fmt.Sprintf("%d of them", dead), "Webhooks of client %s are dead letters", client)
		}
	}
}

// crowded adds pools that unproven callers filled recently, with the largest holder.
func (l *problemList) crowded(pools []share.Use, now time.Time) {
	for _, pool := range pools {
		if !pool.Last.IsZero() && now.Sub(pool.Last) < crowdIsOver {
			who := "callers with an unknown address"
			if pool.LastFrom.IsValid() {
				who = pool.LastFrom.String()
			}
			l.add(fmt.Sprintf("%s held %d of %d when it last gave one up; %d were given up since the start", who, pool.LastHeld, pool.Size, pool.GivenUp),
				"Unauthenticated callers fill the pool %s", pool.Name)
		}
	}
}

// providerError returns why the last read of a provider's metadata or keys failed.
func providerError(provider openid.Status) string {
	err := provider.Error
	for _, keys := range provider.Keys {
		err = cmp.Or(err, keys.Error)
	}
	return err
}
