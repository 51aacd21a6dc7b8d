package caddymodule

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// TestCleanupLetsGoOfAgents sees that a configuration that ends keeps no connection to an agent.
func TestCleanupLetsGoOfAgents(t *testing.T) {
	closed := make(chan struct{}, 10)
	agent := httptest.NewUnstartedServer(http.NotFoundHandler())
	agent.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	agent.Start()
	defer agent.Close()

	client := func() *AgentClient {
		return &AgentClient{Transport: &reverseproxy.HTTPTransport{Transport: &http.Transport{}}}
	}
	s := &SigningService{Mock: client(), Agents: []*AgentClient{client(), {}}}
	for _, a := range []*AgentClient{s.Mock, s.Agents[0]} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, agent.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: a.Transport.Transport}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body) // to its end: only then the connection is kept
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Cleanup(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Fatal("a connection to an agent is kept")
		}
	}
}
