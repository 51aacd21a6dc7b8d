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

// Plaintext returns a host that a readable DSN lets the store speak to without TLS over a network, or nothing.
func Plaintext(dsn string) string {
	config, err := configure(dsn)
	if err != nil {
		return ""
	}
	plain := func(host string, secured *tls.Config) bool {
		ip := net.ParseIP(host)
		local := strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
		return secured == nil && !local
	}
	c := config.ConnConfig
	if plain(c.Host, c.TLSConfig) {
		return c.Host
	}
	for _, f := range c.Fallbacks {
		if plain(f.Host, f.TLSConfig) {
			return f.Host
		}
	}
	return ""
}
