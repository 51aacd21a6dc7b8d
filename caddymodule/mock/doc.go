// Package mock adds the mock smartcard agent and the demo client system to a Caddy build.
package mock
