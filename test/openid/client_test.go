package openid_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Node's openid-client has a person sign in, gets tokens, asks who it is, and refreshes.
func TestOpenIDClient(t *testing.T) {
	w := newWorld(t)
	cmd := exec.CommandContext(t.Context(), "node", "client.mjs")
	cmd.Env = append(os.Environ(), "BASE="+w.base(), "CLIENT_ID=acme", "SECRET="+secret, "REDIRECT=http://localhost:9/other") // it takes the query of a redirect URI off
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("it does not say where the browser goes")
	}
	p := newPerson(t)
	callback := p.signIn(w.issuer, p.get(lines.Text()).location(t).String(), alice)
	back := p.get(callback).location(t).String()
	if _, err := io.WriteString(in, back+"\n"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Token   string `json:"token"`
		Count   string `json:"count"`
		Expires int    `json:"expires"`
		Sub     string `json:"sub"`
	}
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &got) != nil || got.Count != "1" || got.Expires != 599 || got.Sub != alice {
		t.Fatalf("it says %q", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	w.mustWork(t, got.Token, alice)
}
