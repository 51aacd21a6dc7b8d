package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Rule names something that production refuses. If accept can waive the rule, this is the word to use.
type Rule string

// The rules of production. ProductionRules says what each is about.
const (
	RuleStandIn         Rule = "stand_in"
	RuleOpenAccess      Rule = "open_access"
	RulePlainHTTP       Rule = "plain_http"
	RuleLocalAddress    Rule = "local_address"
	RuleNobody          Rule = "user"
	RuleStranger        Rule = "sign_in"
	RuleStoredPIN       Rule = "stored_pin"
	RuleStoreMemory     Rule = "store_memory"
	RuleStorePlaintext  Rule = "store_plaintext"
	RuleStoreUnverified Rule = "store_unverified"
	RuleAuditOff        Rule = "audit_off"
	RuleAuditKeep       Rule = "audit_keep"
	RuleNetworks        Rule = "allow_networks"
	RuleClockSkew       Rule = "clock_skew"
	RuleAnyAddress      Rule = "any_address"
	RuleSecretsLog      Rule = "secrets_log"
)

// ProductionRule is a row of the table of production rules.
type ProductionRule struct {
	Name    Rule
	Refuses string // what is refused, in Caddyfile terms
	Why     string // what could happen
	Instead string // what to do
	Word    string // the option that waives the rule; empty: it cannot be waived
}

// ProductionRules lists everything that production refuses and other environments accept. It applies to Caddyfiles and
// JSON alike. docs/operators.md has the same table.
func ProductionRules() []ProductionRule {
	return []ProductionRule{
		{RuleStandIn, "mock, trust mock, smartcard_agent mock, openid_mock, countersign_demo; openid with the issuer of an openid_mock",
			"anybody can sign as anybody with it", "take it out", ""},
		{RuleOpenAccess, "access open", "nobody is asked who they are", "write access bearer", ""},
		{RulePlainHTTP, "an address with http: public_url, jwks, callback, redirect_uri, webhook, openid, catalogue, token_url, audience, base_url",
			"tokens and signatures can be read and changed on the way", "use https", ""},
		{RuleLocalAddress, "jwks, webhook or openid at localhost or at a private address that is not in allow_networks",
			"production connects to no address of its own machine, or of a network that is not listed", "use a public address, or list its network under allow_networks", ""},
		{RuleNobody, "access bearer without an openid for people to sign in at",
			"no token has the user that it demands", "add openid <issuer> { client_id … } to countersign and apim_authorize beside apim_token", "user optional"},
		{RuleStranger, "agent without sign_in", "the page does not know who is at it, and the agent signs with real cards",
			"add sign_in, and openid <issuer> { client_id … } to countersign", ""},
		{RuleStoredPIN, "pin file", "nobody but a card's holder may know its PIN",
			"use pin terminal or pin pinentry (service_key says that the key is a service's own and no person's)", "service_key"},
		{RuleStoreMemory, "store memory", "every session is forgotten when the process ends, also those that were acknowledged",
			"use store badger or store postgres", acceptWord(RuleStoreMemory)},
		{RuleStorePlaintext, "store postgres on another machine without TLS",
			"sessions and payloads can be read on the way", "add sslmode=verify-full to the DSN (and sslrootcert=… for a CA of your own)", ""},
		{RuleStoreUnverified, "store postgres on another machine with sslmode=require, or verify-ca, and no sslrootcert",
			"another machine can pass for the database", "add sslmode=verify-full to the DSN (and sslrootcert=… for a CA of your own)",
			acceptWord(RuleStoreUnverified)},
		{RuleAuditOff, "audit { off }", "nobody can tell afterwards who signed what", "take off out of audit", acceptWord(RuleAuditOff)},
		{RuleAuditKeep, "audit { keep } under two years", "records are gone before somebody asks for them",
			"make it longer, or leave it out to keep everything", acceptWord(RuleAuditKeep)},
		{RuleNetworks, "allow_networks with this machine, link-local addresses, or more than a /8 (IPv6: a /7)",
			"a client's address could lead the gateway to its own machine, or anywhere in your network", "list the networks that are meant",
			acceptWord(RuleNetworks)},
		{RuleClockSkew, "clock_skew above 5m", "a request that was overheard counts for so much longer", "leave it out, and set the clocks by NTP",
			acceptWord(RuleClockSkew)},
		{RuleAnyAddress, "proxy_addresses any", "everybody with a certificate of the chain could call, from anywhere",
			"leave it out for NHS England's proxy, or name the addresses of yours", ""},
		{RuleSecretsLog, "insecure_secrets_log in the tls of a server with a site of ours", "who has the file reads all that is sent",
			"take it out", ""},
	}
}

const acceptOption = "accept"

func acceptWord(rule Rule) string { return acceptOption + " " + string(rule) }

// Risk is a part of a configuration that a production rule covers.
type Risk struct {
	Rule Rule
	What string // as written in the configuration, such as: store memory
}

// refused is the error for this risk in production.
func (r Risk) refused() error {
	rules := ProductionRules()
	rule := rules[slices.IndexFunc(rules, func(one ProductionRule) bool { return one.Name == r.Rule })]
	text := fmt.Sprintf("%s is refused in production: %s; %s", r.What, rule.Why, rule.Instead)
	if rule.Word != "" {
		text += ", or add " + rule.Word + " to accept the risk"
	}
	return fmt.Errorf("%s", text)
}

// Forbid refuses a risk of one site if the site is in production, unless accept waives the rule.
func (e Environment) Forbid(accept []string, risk Risk) error {
	if e != Production || slices.Contains(accept, string(risk.Rule)) {
		return nil
	}
	return risk.refused()
}

// Forbid refuses a risk of the whole gateway if the gateway is in production, unless the app's accept waives the rule.
// Otherwise it records the risk, because a later site may be in production and shares store, clients, tokens and providers.
func (a *App) Forbid(risk Risk) error {
	if slices.Contains(a.Accept, string(risk.Rule)) {
		a.prod.accepted = append(a.prod.accepted, risk)
		return nil
	}
	if a.Environment == Production {
		return risk.refused()
	}
	for _, site := range a.prod.sites {
		if err := site.judge(risk); err != nil {
			return err
		}
	}
	a.prod.risks = append(a.prod.risks, risk)
	return nil
}

// production records the risks of an app and its production sites.
type production struct {
	sites    []prodSite // production sites in an app that is not in production
	risks    []Risk     // risks in what the sites share
	accepted []Risk     // risks waived by accept
}

// prodSite is a production site in a gateway that is not in production.
type prodSite struct {
	name  string
	rules []Rule // the rules for what it shares with other sites; none: all rules
}

func (s prodSite) judge(risk Risk) error {
	if len(s.rules) > 0 && !slices.Contains(s.rules, risk.Rule) {
		return nil
	}
	return fmt.Errorf("%w (%s is in production, and so is all that it shares)", risk.refused(), s.name)
}

// JoinSite tells the app the environment of a site that uses the shared parts of the gateway. A production site subjects
// those parts to the given rules, or to all rules if none are given. It also checks the site's server.
func (a *App) JoinSite(ctx caddy.Context, e Environment, name string, rules ...Rule) error {
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		if err := e.JudgeServer(server); err != nil {
			return err
		}
	}
	if e != Production || a.Environment == Production {
		return nil
	}
	site := prodSite{name, rules}
	a.prod.sites = append(a.prod.sites, site)
	for _, risk := range a.prod.risks {
		if err := site.judge(risk); err != nil {
			return err
		}
	}
	return nil
}

// warnOfAccept warns of words of accept that waive nothing, because they suggest a risk that does not exist.
func (a *App) warnOfAccept() {
	for _, word := range a.Accept {
		if !slices.ContainsFunc(a.prod.accepted, func(risk Risk) bool { return risk.Rule == Rule(word) }) {
			a.logger.Warn("accept waives a rule that this configuration does not break: remove the word", "word", word)
		}
	}
}

// JudgeServer refuses a server that logs TLS secrets, for a production site.
func (e Environment) JudgeServer(server *caddyhttp.Server) error {
	for _, policy := range server.TLSConnPolicies {
		if file := policy.InsecureSecretsLog; file != "" {
			return e.Forbid(nil, Risk{RuleSecretsLog, "insecure_secrets_log " + file})
		}
	}
	return nil
}

// checkAccept refuses words that no rule knows, and duplicates.
func checkAccept(words []string, known ...Rule) error {
	for i, word := range words {
		switch {
		case !slices.Contains(known, Rule(word)):
			return fmt.Errorf("unknown accept word %q: use one of %s", word, joinRules(known))
		case slices.Contains(words[:i], word):
			return fmt.Errorf("accept %s is a duplicate: remove one", word)
		}
	}
	return nil
}

func joinRules(rules []Rule) string {
	words := make([]string, len(rules))
	for i, rule := range rules {
		words[i] = string(rule)
	}
	return strings.Join(words, ", ")
}

// appAccepts are the words of accept in countersign; siteAccepts are those in signing_service.
func appAccepts() []Rule {
	return []Rule{RuleStoreMemory, RuleStoreUnverified, RuleAuditOff, RuleAuditKeep, RuleNetworks}
}

func siteAccepts() []Rule { return []Rule{RuleClockSkew} }
