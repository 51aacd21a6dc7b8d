package caddymodule

import (
	"net/url"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("countersign", parseApp)
}

// parseApp reads the global option:
//
//	countersign {
//		environment    sandbox|int|prod
//		store          badger [<path>] | memory | postgres <dsn> (package caddymodule/postgres)
//		keys {
//			rotate  <duration>
//			overlap <duration>
//		}
//		audit {
//			dir  <path>
//			node <name>
//			keep <duration>
//			optional
//			off
//		}
//		webhooks {
//			timeout     <duration>
//			backoff     <first> <longest>
//			give_up     <duration>
//			keep_dead   <duration>
//			poll        <duration>
//			concurrency <number>
//		}
//		allow_networks <cidr...>
//		accept         <name of a rule of production...>
//		refusal_rate   <number>|off
//		trusted_callers <cidr...>
//		client <id> {
//			name       <text>
//			jwks       <url or file>
//			key        <kid> <pem file>
//			callback   <url>
//			webhook    <url> {
//				secret <secret>
//			}
//			algorithms RS1|RS256|PS256...
//			products   <name...>
//			rate       <number>/m
//			status     approved|revoked
//			secret     <secret>
//			redirect_uri <url...>
//			audience   <id...>
//		}
//		product <name> {
//			scopes <scope...>
//			rate   <number>/m
//		}
//		openid <issuer> {
//			client_id  <id>
//			secret     <secret>
//			key        <kid> <pem file>
//			scopes     <scope...>
//			acr        <value...>
//			user_claim <claim>
//		}
//	}
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // countersign
	if existing != nil {
		return nil, d.Err("countersign is configured twice: put everything into one block")
	}
	a := &App{Clients: map[string]*Client{}}
	if err := a.options().Block(d, "countersign"); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "countersign", Value: caddyconfig.JSON(a, nil)}, nil
}

func (a *App) options() parse.Options {
	return parse.Options{
		"environment":     parse.One(&a.Environment),
		"store":           a.parseStore,
		"keys":            a.Keys.parse,
		"audit":           a.Audit.parse,
		"webhooks":        a.Webhooks.parse,
		"allow_networks":  parse.List(&a.AllowNetworks),
		acceptOption:      parse.List(&a.Accept),
		"refusal_rate":    a.parseRefusalRate,
		"trusted_callers": parse.List(&a.TrustedCallers),
		"client":          a.parseClient,
		"product":         a.parseProduct,
		"openid":          a.parseOpenID,
	}
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	if a.StoreRaw != nil {
		return d.Err("store is configured twice: keep one")
	}
	if !d.NextArg() {
		return d.ArgErr()
	}
	engine := d.Val()
	if err := knownEngine(d, engine); err != nil {
		return err
	}
	module, err := caddyfile.UnmarshalModule(d, engines+"."+engine)
	if err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(module, "engine", engine, nil)
	return nil
}

func (k *OwnKeys) parse(d *caddyfile.Dispenser) error {
	return parse.Options{"rotate": parse.Duration(&k.Rotate), "overlap": parse.Duration(&k.Overlap)}.Block(d, "keys")
}

func (a *App) parseClient(d *caddyfile.Dispenser) error {
	var id string
	if err := parse.One(&id)(d); err != nil {
		return err
	}
	if a.Clients[id] != nil {
		return d.Errf("client %s is configured twice", id)
	}
	client := &Client{}
	a.Clients[id] = client
	return client.options().Block(d, "a client")
}

func (c *Client) options() parse.Options {
	return parse.Options{
		"name":         parse.One(&c.Name),
		"jwks":         c.parseJWKS,
		"key":          c.parseKey,
		"callback":     parse.One(&c.Callback),
		"webhook":      c.parseWebhook,
		"algorithms":   parse.List(&c.Algorithms),
		"products":     parse.List(&c.Products),
		"rate":         parse.PerMinute(&c.Rate),
		"max_sessions": parse.Count(&c.MaxSessions),
		"status":       parse.One(&c.Status),
		"secret":       parse.One(&c.Secret),
		"redirect_uri": parse.List(&c.RedirectURIs),
		"audience":     parse.List(&c.Audiences),
	}
}

// parseWebhook reads the address of a webhook, and in a block the secrets that its receiver shares.
func (c *Client) parseWebhook(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) != 1:
		return d.Err("webhook takes one URL")
	case c.Webhook != "":
		return d.Err("webhook is given twice")
	}
	c.Webhook = args[0]
	return parse.Options{"secret": func(d *caddyfile.Dispenser) error {
		var secret string
		err := parse.One(&secret)(d)
		c.WebhookSecrets = append(c.WebhookSecrets, secret)
		return err
	}}.Block(d, "webhook")
}

func (c *Client) parseJWKS(d *caddyfile.Dispenser) error {
	var where string
	if err := parse.One(&where)(d); err != nil {
		return err
	}
	if u, err := url.Parse(where); err != nil || u.Host == "" {
		c.JWKSFiles = append(c.JWKSFiles, where)
		return nil
	}
	if c.JWKS != "" {
		return d.Err("jwks is given two URLs: a client has one key set URL")
	}
	c.JWKS = where
	return nil
}

func (c *Client) parseKey(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("key takes a kid and a PEM file, such as: key demo-epr-1 keys/demo-epr-1.pem")
	}
	c.Keys = append(c.Keys, ClientKey{KID: args[0], Path: args[1]})
	return nil
}
