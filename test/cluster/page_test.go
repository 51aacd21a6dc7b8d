package cluster_test

import (
	"net/http"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A request accepted by one node is opened on the other, signed by it, watched from the first, and fetched from there.
func TestJourneyAcrossNodes(t *testing.T) {
	c := newCluster(t, options{agent: [2]string{"", "fault slow 2s"}}) // slow enough for what is signed to be seen on its way
	payloads := gateway.Payloads("RS256", 5)
	accepted := c.request(t, 0, payloads...)

	there := c.visit(t, 1, accepted)
	there.Open()
	there.Sign()
	here := c.to(0, there)
	half := here.Await("an item", patience, func(v gateway.View) bool { return v.Signed >= 1 })
	if half.State != "signing" || half.Total != 5 {
		t.Errorf("the other node's progress is seen as %+v", half)
	}
	if other := c.visit(t, 0, accepted).TryOpen(); other.Status/100 != 4 {
		t.Errorf("another browser may open it on the other node: %d", other.Status)
	}
	if v := here.Await("the end", patience, gateway.View.Over); v.State != "signed" {
		t.Fatalf("ended %+v, %+v", v, v.Reason)
	}
	for node := range c.nodes {
		c.system(node).Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
	}
}

// A node that is killed while it has a card sign holds the session until its lease is over. Then the person goes on, on
// the other node, in the same browser, and nothing was released meanwhile.
func TestKilledWhileSigning(t *testing.T) {
	// Long enough for what is to happen within the lease, and no longer, since the rest waits for its end.
	c := newCluster(t, options{agent: [2]string{"fault hang", ""}, lease: "15s"})
	payloads := gateway.Payloads("RS256", 4)
	accepted := c.request(t, 0, payloads...)
	here := c.visit(t, 0, accepted)
	here.Open()
	here.Sign()
	here.Await("two items", patience, func(v gateway.View) bool { return v.Signed == 2 })
	c.nodes[0].Kill()

	there := c.to(1, here)
	if v := there.View(); v.State != "signing" || v.Signed != 2 {
		t.Errorf("right after the kill it is %+v", v)
	}
	there.TrySign() // begins no second run: the other node has a good card, and would sign
	if answer := c.system(1).Response(t, accepted.Token); answer.Status != http.StatusNotFound {
		t.Errorf("released by half: %d %s", answer.Status, answer.Body)
	}
	v := there.Await("the lease to run out", patience, func(v gateway.View) bool { return v.State == "opened" })
	if v.Reason == nil || !v.Reason.Retry || v.Signed != 0 {
		t.Errorf("the page is told %+v, %+v", v, v.Reason)
	}
	there.Sign()
	if v := there.Await("the end", patience, gateway.View.Over); v.State != "signed" {
		t.Fatalf("ended %+v, %+v", v, v.Reason)
	}
	c.system(1).Fetch(t, accepted.Token).Verify(t, "RS256", payloads)

	c.nodes[0].Restart()
	c.system(0).Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
}
