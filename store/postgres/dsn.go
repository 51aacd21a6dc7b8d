package postgres

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Address returns a name for a DSN that may be logged: its user, hosts and database. DSNs that differ only in the
// password or the parameters have the same name. The error for an invalid DSN reveals nothing of it.
func Address(dsn string) (string, error) {
	config, err := configure(dsn)
	if err != nil {
		return "", err
	}
	c := config.ConnConfig
	return fmt.Sprintf("%s@%s/%s", c.User, strings.Join(hosts(c), ","), c.Database), nil
}

// hosts returns the hosts in the order they are tried, without duplicates.
func hosts(c *pgx.ConnConfig) []string {
	all := []string{fmt.Sprintf("%s:%d", c.Host, c.Port)}
	for _, f := range c.Fallbacks {
		if host := fmt.Sprintf("%s:%d", f.Host, f.Port); !slices.Contains(all, host) { // otherwise each is listed with and without TLS
			all = append(all, host)
		}
	}
	return all
}

// configure parses a DSN. Its errors do not quote pgx, whose errors may contain part of the password.
func configure(dsn string) (*pgxpool.Config, error) {
	if dsn == "" {
		return nil, errors.New("no DSN: give the database's address, such as postgres://user:password@host:5432/name")
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil || strings.Contains(strings.Join(hosts(config.ConnConfig), ""), "@") { // part of a password
		return nil, errors.New("malformed DSN: want postgres://user:password@host:5432/name, with everything but letters and digits in the password percent-encoded, or host=… user=… password='…' dbname=…")
	}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("DSN selects the simple protocol, which cannot send a commit as one pipeline: behind a pooler without prepared statements use default_query_exec_mode=exec")
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		config.MaxConns = defaultMaxConns
	}
	if !strings.Contains(dsn, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	return config, nil
}

// Secrecy is the protection of the connection to a database.
type Secrecy int

// The levels of Secrecy, worst first.
const (
	Plaintext  Secrecy = iota // no TLS: anybody on the network path can read and change everything
	Unverified                // anybody on the network path can impersonate the database
	Verified                  // TLS with a certificate for the host, or by a private CA; or a local connection
)

// Weakest returns the lowest secrecy that a valid DSN allows, and the host it applies to; "" for Verified.
func Weakest(dsn string) (host string, secrecy Secrecy) {
	config, err := configure(dsn)
	if err != nil {
		return "", Verified
	}
	c := config.ConnConfig
	host, secrecy = "", Verified
	note := func(of string, secured *tls.Config) {
		if found := secrecyOf(of, secured); found < secrecy {
			host, secrecy = of, found
		}
	}
	note(c.Host, c.TLSConfig)
	for _, f := range c.Fallbacks {
		note(f.Host, f.TLSConfig)
	}
	return host, secrecy
}

func secrecyOf(host string, secured *tls.Config) Secrecy {
	ip := net.ParseIP(host)
	if strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback() {
		return Verified
	}
	switch {
	case secured == nil:
		return Plaintext
	case !secured.InsecureSkipVerify: // verify-full
		return Verified
	case secured.VerifyPeerCertificate != nil && secured.RootCAs != nil: // verify-ca with a private CA, for any host
		return Verified
	}
	return Unverified // includes verify-ca with the system's CAs, which vouch for anybody's host
}
