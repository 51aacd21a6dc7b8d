package credential

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	maxConnections = 16               // concurrently; a page has one
	connectionLife = 15 * time.Minute // from its start, whatever happens on it
	pollTime       = 25 * time.Second // how long a poll waits for a message
	protocol       = "1.5"
)

// connection is one page's connection, from negotiate to abort.
type connection struct {
	origin string // of the page that opened it; no other page may use it
	begun  time.Time
	ctx    context.Context //nolint:containedctx // //nolint:containedctx // ends with the connection and ends what runs on it
	end    context.CancelFunc
}

// negotiated is SignalR's answer to negotiate.
type negotiated struct {
	URL                     string  `json:"Url"`
	ConnectionToken         string  `json:"ConnectionToken"`
	ConnectionID            string  `json:"ConnectionId"`
	KeepAliveTimeout        float64 `json:"KeepAliveTimeout"` // this and all below in seconds
	DisconnectTimeout       float64 `json:"DisconnectTimeout"`
	ConnectionTimeout       float64 `json:"ConnectionTimeout"`
	TryWebSockets           bool    `json:"TryWebSockets"`
	ProtocolVersion         string  `json:"ProtocolVersion"`
	TransportConnectTimeout float64 `json:"TransportConnectTimeout"`
	LongPollDelay           float64 `json:"LongPollDelay"`
}

// messages is an answer to connect and poll.
type messages struct {
	Cursor      string `json:"C"`
	Initialised int    `json:"S,omitempty"`
	Messages    []any  `json:"M"`
}

func (s *Server) negotiate(w http.ResponseWriter, r *http.Request) {
	var token [32]byte
	if _, err := io.ReadFull(s.Rand, token[:]); err != nil {
		http.Error(w, "no random numbers", http.StatusInternalServerError)
		return
	}
	name := base64.RawURLEncoding.EncodeToString(token[:])
	if !s.open(name, r.Header.Get("Origin")) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many connections are open", http.StatusServiceUnavailable)
		return
	}
	answer(w, negotiated{
		URL: "/signalr", ConnectionToken: name, ConnectionID: name[:16], ProtocolVersion: protocol,
		KeepAliveTimeout: 20, DisconnectTimeout: 30, ConnectionTimeout: 110, TransportConnectTimeout: 5,
	})
}

// open adds a connection, and drops those that are too old.
func (s *Server) open(token, origin string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	for old, c := range s.connections {
		if now.Sub(c.begun) > connectionLife {
			c.end()
			delete(s.connections, old)
		}
	}
	if len(s.connections) >= maxConnections {
		return false
	}
	ctx, end := context.WithCancel(context.Background())
	s.connections[token] = &connection{origin: origin, begun: now, ctx: ctx, end: end}
	return true
}

// connection returns the connection a request names. If there is none it answers the request and returns nil.
func (s *Server) connection(w http.ResponseWriter, r *http.Request) *connection {
	query := r.URL.Query()
	s.mu.Lock()
	c := s.connections[query.Get("connectionToken")]
	s.mu.Unlock()
	switch {
	case c == nil || c.origin != r.Header.Get("Origin"):
		http.Error(w, "unknown connection: negotiate a new one", http.StatusBadRequest)
	case query.Get("transport") != "longPolling":
		http.Error(w, "this agent supports only long polling", http.StatusBadRequest)
	default:
		return c
	}
	return nil
}

func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if s.connection(w, r) != nil {
		answer(w, messages{Cursor: "0", Initialised: 1, Messages: []any{}})
	}
}

func (s *Server) start(w http.ResponseWriter, r *http.Request) {
	if s.connection(w, r) != nil {
		answer(w, map[string]string{"Response": "started"})
	}
}

// poll waits for messages. There are none: every answer is sent in reply to its request.
func (s *Server) poll(w http.ResponseWriter, r *http.Request) {
	c := s.connection(w, r)
	if c == nil {
		return
	}
	wait := time.NewTimer(pollTime)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-c.ctx.Done():
	case <-r.Context().Done():
		return
	}
	answer(w, messages{Cursor: "0", Messages: []any{}})
}

func (s *Server) abort(w http.ResponseWriter, r *http.Request) {
	c := s.connection(w, r)
	if c == nil {
		return
	}
	c.end()
	s.mu.Lock()
	delete(s.connections, r.URL.Query().Get("connectionToken"))
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

func answer(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil { // only our own types are written
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(text) // the page may have gone
}
