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
//			dir <path>
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
//		refusal_rate   <number>|off
//		client <id> {
//			name       <text>
//			jwks       <url or file>
//			key        <kid> <pem file>
//			callback   <url>
//			webhook    <url>
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
		return nil, d.Err("countersign is configured twice; put everything into one block")
	}
	a := &App{Clients: map[string]*Client{}}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	for d.NextBlock(0) {
		if err := a.parseOption(d); err != nil {
			return nil, err
		}
	}
	return httpcaddyfile.App{Name: "countersign", Value: caddyconfig.JSON(a, nil)}, nil
}

func (a *App) parseOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "environment":
		return parse.One(d, (*string)(&a.Environment))
	case "store":
		if a.StoreRaw != nil {
			return d.Err("store is given twice")
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
	case "keys":
		return a.Keys.parse(d)
	case "audit":
		return a.Audit.parse(d)
	case "webhooks":
		return a.Webhooks.parse(d)
	case "allow_networks":
		networks := d.RemainingArgs()
		if len(networks) == 0 {
			return d.ArgErr()
		}
		a.AllowNetworks = append(a.AllowNetworks, networks...)
		return nil
	case "refusal_rate":
		return a.parseRefusalRate(d)
	case "client":
		return a.parseClient(d)
	case "product":
		return a.parseProduct(d)
	case "openid":
		return a.parseOpenID(d)
	default:
		return d.Errf("unrecognized option %q of countersign", option)
	}
}

func (k *OwnKeys) parse(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "rotate":
			err = parse.Duration(d, &k.Rotate)
		case "overlap":
			err = parse.Duration(d, &k.Overlap)
		default:
			err = d.Errf("unrecognized option %q of keys", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *App) parseClient(d *caddyfile.Dispenser) error {
	var id string
	if err := parse.One(d, &id); err != nil {
		return err
	}
	if a.Clients[id] != nil {
		return d.Errf("client %s is configured twice", id)
	}
	client := &Client{}
	a.Clients[id] = client
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := client.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) parseOption(d *caddyfile.Dispenser) error {
	switch option := d.Val(); option {
	case "name":
		return parse.One(d, &c.Name)
	case "jwks":
		var where string
		if err := parse.One(d, &where); err != nil {
			return err
		}
		if u, err := url.Parse(where); err != nil || u.Host == "" {
			c.JWKSFiles = append(c.JWKSFiles, where)
			return nil
		}
		if c.JWKS != "" {
			return d.Err("a client has one key set URL")
		}
		c.JWKS = where
		return nil
	case "key":
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Err("key takes a kid and a PEM file: key demo-epr-1 keys/demo-epr-1.pem")
		}
		c.Keys = append(c.Keys, ClientKey{KID: args[0], Path: args[1]})
		return nil
	case "callback":
		return parse.One(d, &c.Callback)
	case "webhook":
		return parse.One(d, &c.Webhook)
	case "algorithms":
		c.Algorithms = d.RemainingArgs()
		if len(c.Algorithms) == 0 {
			return d.ArgErr()
		}
		return nil
	case "products":
		return parse.List(d, &c.Products)
	case "rate":
		return parse.Rate(d, &c.Rate)
	case "max_sessions":
		return parse.Count(d, &c.MaxSessions)
	case "status":
		return parse.One(d, &c.Status)
	case "secret":
		return parse.One(d, &c.Secret)
	case "redirect_uri":
		return parse.List(d, &c.RedirectURIs)
	case "audience":
		return parse.List(d, &c.Audiences)
	default:
		return d.Errf("unrecognized option %q of a client", option)
	}
}
