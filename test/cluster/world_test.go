// Package cluster_test proves what holds for several gateways on one PostgreSQL: two built binaries that share a
// database and Caddy's storage, and nothing else, behind one public address.
package cluster_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	person = "555086689106"
	client = "acme"

	// public is the load balancer's address. There is none here: the tests are the balancer, and ask the node they like.
	public = "http://localhost:9000"

	// patience is how long a busy machine may take.
	patience = time.Minute
)

// key is the client system's. All tests share it, since it takes a while to make.
var key gateway.Key

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-cluster-")
	if err == nil {
		key, err = gateway.MakeKey(dir, 4096)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

// cluster is a database and the two gateways on it.
type cluster struct {
	database *postgrestest.Server
	nodes    [2]*gateway.Gateway
}

// options say how the nodes of a cluster differ.
type options struct {
	agent   [2]string // more lines for each node's mock agent
	client  [2]string // more lines for the client, as each node knows it
	options string    // more of the option countersign
	lease   string    // how long a silent node holds a session; none: as long as the default, which no busy machine reaches
}

func newCluster(t *testing.T, o options) *cluster {
	t.Helper()
	c := &cluster{database: postgrestest.Start(t)}
	t.Setenv("CLUSTER_DATABASE_URL", c.database.DSN())
	c.nodes[0] = gateway.Start(t, caddyfile(t, o, 0))
	c.nodes[1] = gateway.Start(t, caddyfile(t, o, 1), gateway.Beside(c.nodes[0]))
	for _, node := range c.nodes {
		node.MustNotLog(person, postgrestest.Password)
	}
	return c
}

func caddyfile(t *testing.T, o options, node int) string {
	lease := ""
	if o.lease != "" {
		lease = "lease " + o.lease
	}
	return strings.NewReplacer(
		"{lease}", lease, "{public}", public, "{key}", key.Public, "{audit}", t.TempDir(),
		"{agent}", o.agent[node], "{client}", o.client[node], "{options}", o.options,
	).Replace(`{
` + gateway.Options + `	countersign {
		environment int
		store postgres {env.CLUSTER_DATABASE_URL}
		audit {
			dir {audit}
		}
		client acme {
			key acme-1 {key}
			callback http://localhost:9/signed
			products signing
			{client}
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
		{options}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing-service/* {
		signing_service {
			public_url {public}/signing-service
			access open
			{lease}
			mock https://localhost:{$PORT_AGENT} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /oauth2/* {
		apim_token {
			public_url {public}/oauth2
		}
	}
	handle /api/* {
		apim_bearer
		respond "hello {http.vars.countersign.client}"
	}
}

https://localhost:{$PORT_AGENT} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
		{agent}
	}
}
`)
}

// at is an address of a node: path is that behind the load balancer.
func (c *cluster) at(node int, path string) string { return c.nodes[node].URL("GATEWAY", path) }

// system is the client system, as one whose requests the load balancer hands to that node.
func (c *cluster) system(node int) gateway.System {
	return gateway.System{Base: c.at(node, "/signing-service"), ID: client, Kid: "acme-1", Key: key, Sub: person}
}

// jwt is a request for signatures, for the public address.
func (c *cluster) jwt(t *testing.T, payloads ...gateway.Payload) string {
	t.Helper()
	s := c.system(0)
	return key.JWT(t, s.Header(), gateway.With(s.Claims("RS256", payloads...), "aud", public+"/signing-service"))
}

// insist posts a request to a node, again as long as it is told to come later, as client systems do.
func (c *cluster) insist(t *testing.T, node int, jwt string) gateway.Accepted {
	t.Helper()
	s := c.system(node)
	var answer gateway.Answer
	gateway.Eventually(patience, func() bool {
		answer = s.Post(t, jwt, "")
		return answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == ""
	})
	return s.Accepted(t, answer)
}

// request has a node accept payloads.
func (c *cluster) request(t *testing.T, node int, payloads ...gateway.Payload) gateway.Accepted {
	t.Helper()
	s := c.system(node)
	accepted := s.Accepted(t, s.Post(t, c.jwt(t, payloads...), ""))
	for _, n := range c.nodes {
		n.MustNotLog(accepted.Token)
	}
	return accepted
}

// visit opens the page on a node, where the load balancer has taken the browser.
func (c *cluster) visit(t *testing.T, node int, accepted gateway.Accepted) *gateway.Browser {
	t.Helper()
	path, ok := strings.CutPrefix(accepted.RedirectURI, public)
	if !ok {
		t.Fatalf("the browser is sent to %s, not to the public address", accepted.RedirectURI)
	}
	b := gateway.Visit(t, c.at(node, path))
	b.Origin = public
	return b
}

// to is the same browser, handed to another node.
func (c *cluster) to(node int, b *gateway.Browser) *gateway.Browser {
	return b.At(c.at(node, "/signing-service"))
}

// count asks the database.
func (c *cluster) count(from string) string {
	return c.database.SQL(postgrestest.Database, "SELECT count(*) FROM countersign.records WHERE convert_from(key, 'UTF8') LIKE '"+from+"'")
}
