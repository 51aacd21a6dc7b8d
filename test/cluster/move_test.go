package cluster_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// An installation moves from the embedded store to a database by a backup: what was signed before is fetched after, and
// what was begun goes on in the same browser.
func TestMovedFromBadger(t *testing.T) {
	database := postgrestest.Start(t)
	t.Setenv("CLUSTER_DATABASE_URL", database.DSN())
	after := caddyfile(t, options{}, 0)
	before := strings.Replace(after, "store postgres {env.CLUSTER_DATABASE_URL}", "store badger", 1)
	node := gateway.Start(t, before)
	c := &cluster{database: database, nodes: [2]*gateway.Gateway{node, node}}
	payloads := gateway.Payloads("RS256", 3)
	signed, begun := c.request(t, 0, payloads...), c.request(t, 0, payloads...)
	if v := c.visit(t, 0, signed).SignToEnd(); v.State != "signed" {
		t.Fatalf("ended %+v, %+v", v, v.Reason)
	}
	browser := c.visit(t, 0, begun)
	browser.Open()

	command := func(args ...string) {
		t.Helper()
		if _, err := gateway.Run(nil, gateway.Binary(t), append([]string{"countersign", "store"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	backup, config := filepath.Join(dir, "moving.backup"), filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte("{\n\tcountersign {\n\t\tenvironment int\n\t\tstore postgres {env.CLUSTER_DATABASE_URL}\n\t}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command("backup", "--address", "localhost:"+node.Port("ADMIN"), backup)
	node.Stop()
	command("restore", "--config", config, backup)
	node.RestartWith(after)

	c.system(0).Fetch(t, signed.Token).Verify(t, "RS256", payloads)
	browser.Sign()
	if v := browser.Await("the end", patience, gateway.View.Over); v.State != "signed" {
		t.Fatalf("ended %+v, %+v", v, v.Reason)
	}
	c.system(0).Fetch(t, begun.Token).Verify(t, "RS256", payloads)
	if n := c.count("session/%"); n != "2" {
		t.Errorf("%s sessions in the database", n)
	}
}
