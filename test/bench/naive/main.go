// Command naive is Caddy with a signing request handler as one would write it in an afternoon, with golang-jwt and
// encoding/json and no more care than they bring: what Countersign's own is measured against.
package main

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

func main() {
	caddy.RegisterModule(&handler{})
	httpcaddyfile.RegisterHandlerDirective("naive", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		n := &handler{}
		if h.Next(); !h.Args(&n.KID, &n.KeyFile, &n.Issuer, &n.Audience) {
			return nil, h.ArgErr()
		}
		return n, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("naive", httpcaddyfile.Before, "reverse_proxy")
	caddycmd.Main()
}

type handler struct {
	KeyFile  string `json:"key_file"`
	KID      string `json:"kid"`
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`

	keys     map[string]*rsa.PublicKey
	parser   *jwt.Parser
	sessions *sync.Map
}

type claims struct {
	jwt.RegisteredClaims
	Algorithm string `json:"algorithm"`
	Payloads  []struct {
		ID      string `json:"id"`
		Payload string `json:"payload"`
	} `json:"payloads"`
}

type session struct {
	sub      string
	payloads [][]byte
}

// CaddyModule returns the module's name for Caddy.
func (*handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive", New: func() caddy.Module { return &handler{} }}
}

// Provision reads the key.
func (n *handler) Provision(caddy.Context) error {
	text, err := os.ReadFile(n.KeyFile)
	if err != nil {
		return err
	}
	key, err := jwt.ParseRSAPublicKeyFromPEM(text)
	if err != nil {
		return err
	}
	n.keys = map[string]*rsa.PublicKey{n.KID: key}
	n.parser = jwt.NewParser(jwt.WithValidMethods([]string{"RS512"}), jwt.WithIssuer(n.Issuer), jwt.WithAudience(n.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	n.sessions = &sync.Map{}
	return nil
}

// ServeHTTP takes a signing request.
func (n *handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2<<20))
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	var read claims
	_, err = n.parser.ParseWithClaims(string(body), &read, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if key := n.keys[kid]; key != nil {
			return key, nil
		}
		return nil, errors.New("unknown kid")
	})
	if err != nil {
		return caddyhttp.Error(http.StatusUnauthorized, err)
	}
	kept := session{sub: read.Subject}
	for _, item := range read.Payloads {
		payload, err := base64.StdEncoding.DecodeString(item.Payload)
		if err != nil {
			return caddyhttp.Error(http.StatusBadRequest, err)
		}
		kept.payloads = append(kept.payloads, payload)
	}
	token := uuid.NewString()
	n.sessions.Store(token, kept)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]string{
		"token": token, "redirectUri": n.Audience + "/client?token=" + token,
	})
}
