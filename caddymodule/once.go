package caddymodule

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// ReuseWithin is how long a connection may have been idle before it is no longer used for what must not be sent twice: a
// little less than the 5 s after which a Node server closes it.
const ReuseWithin = caddy.Duration(4 * time.Second)

// OnceTransport returns a copy of a transport for requests that must not be sent twice. It closes its connections after
// they were idle for a time, so that no such request meets a server that is closing its end. The transport must not be
// provisioned yet.
func OnceTransport(transport *reverseproxy.HTTPTransport, within caddy.Duration) (*reverseproxy.HTTPTransport, error) {
	text, err := json.Marshal(transport)
	if err != nil {
		return nil, fmt.Errorf("copying the transport: %w", err)
	}
	once := &reverseproxy.HTTPTransport{}
	if err := json.Unmarshal(text, once); err != nil {
		return nil, fmt.Errorf("copying the transport: %w", err)
	}
	if once.KeepAlive == nil {
		once.KeepAlive = &reverseproxy.KeepAlive{}
	}
	if idle := once.KeepAlive.IdleConnTimeout; idle <= 0 || idle > within {
		once.KeepAlive.IdleConnTimeout = within
	}
	return once, nil
}
