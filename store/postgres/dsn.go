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

// Address is what a DSN may be called in a log: its hosts, its database and the user. Two DSNs that differ in their
// password or their parameters have the same one. The error of a DSN that cannot be read tells nothing of it.
func Address(dsn string) (string, error) {
	config, err := configure(dsn)
	if err != nil {
		return "", err
	}
	c := config.ConnConfig
	return fmt.Sprintf("%s@%s/%s", c.User, strings.Join(hosts(c), ","), c.Database), nil
}

// hosts are those that are tried, in order, each once.
func hosts(c *pgx.ConnConfig) []string {
	all := []string{fmt.Sprintf("%s:%d", c.Host, c.Port)}
	for _, f := range c.Fallbacks {
		if host := fmt.Sprintf("%s:%d", f.Host, f.Port); !slices.Contains(all, host) { // else with and without TLS
			all = append(all, host)
		}
	}
	return all
}

// configure reads a DSN. What is wrong with it is not told in pgx's words, which may quote a part of the password.
func configure(dsn string) (*pgxpool.Config, error) {
	if dsn == "" {
		return nil, errors.New("no DSN: say where the database is, as in postgres://user:password@host:5432/name")
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil || strings.Contains(strings.Join(hosts(config.ConnConfig), ""), "@") { // a part of a password
		return nil, errors.New("the DSN cannot be read: it is postgres://user:password@host:5432/name, with what is not a letter or a digit in the password percent-encoded, or host=… user=… password='…' dbname=…")
	}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("the DSN asks for the simple protocol, which cannot send a commit as one pipeline: behind a pooler without prepared statements take default_query_exec_mode=exec")
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		config.MaxConns = defaultMaxConns
	}
	if !strings.Contains(dsn, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	return config, nil
}

// Secrecy is how much of the way to a database others can get at.
type Secrecy int

// From the worst to the best.
const (
	Plaintext  Secrecy = iota // who is on the way reads and changes all
	Unverified                // who is on the way can pass for the database
	Verified                  // by TLS to a host that its certificate names, or a CA of one's own vouches for; or on this machine
)

// Weakest is the worst way to a database that a readable DSN allows, and the host at its end; "" for Verified.
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
	case secured.VerifyPeerCertificate != nil && secured.RootCAs != nil: // verify-ca by a CA of one's own, for any host of it
		return Verified
	}
	return Unverified // also by the system's authorities, each of which vouches for anybody's host
}
