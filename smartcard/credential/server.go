package credential

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

// Ports are the ports Credential Management listens on, in the order in which pages try them.
var Ports = []int{43487, 44213, 45031, 46478, 48853}

// Options say whose pages may ask, and what signs.
type Options struct {
	// Signer holds the card. Mandatory.
	Signer smartcard.Signer

	// Origins are the origins of the signing pages that may ask, such as https://sign.example.nhs.uk. Mandatory.
	Origins []string

	// User is the user whose card it is. Default: the Signer is asked; it must then be a smartcard.Holder.
	User string

	// Users are the user ids served; * stands for any characters. Empty: every user.
	Users []string

	// Timeout bounds one signing request, including the PIN. Default: 5 minutes.
	Timeout time.Duration

	// Logger receives each request with its origin and counts, never its user or payloads. Default: nothing is
	// logged.
	Logger *slog.Logger

	// Now is the clock. Default: time.Now.
	Now func() time.Time

	// Rand is the source of connection tokens. Default: crypto/rand.
	Rand io.Reader
}

// Server is an http.Handler for the protocol.
type Server struct {
	Options
	mu          sync.Mutex
	connections map[string]*connection // by token
}

// New checks the options.
func New(o Options) (*Server, error) {
	if o.Signer == nil {
		return nil, errors.New("credential management: no signer")
	}
	if _, tells := o.Signer.(smartcard.Holder); !tells && o.User == "" {
		return nil, errors.New("credential management: this kind of agent cannot tell whose card it holds: name the user with user")
	}
	if len(o.Origins) == 0 {
		return nil, errors.New("credential management: no origin: name the origins of the signing pages that may ask")
	}
	for _, origin := range o.Origins {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || origin != u.Scheme+"://"+strings.ToLower(u.Host) {
			return nil, fmt.Errorf("credential management: origin %q must be scheme and host in lower case, such as https://sign.example.nhs.uk", origin)
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Server{Options: o, connections: map[string]*connection{}}, nil
}

// ServeHTTP answers one request. It checks the caller before anything else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Vary", "Origin")
	if why := s.stranger(r); why != "" {
		s.Logger.WarnContext(r.Context(), "credential management request refused", "origin", r.Header.Get("Origin"), "reason", why)
		http.Error(w, why, http.StatusForbidden)
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	endpoint, method := s.endpoint(r.URL.Path)
	switch {
	case endpoint == nil:
		http.Error(w, "not found", http.StatusNotFound)
	case !strings.Contains(method, r.Method):
		w.Header().Set("Allow", method)
		http.Error(w, "use "+method, http.StatusMethodNotAllowed)
	default:
		endpoint(w, r)
	}
}

func (s *Server) endpoint(path string) (handle http.HandlerFunc, method string) {
	switch path {
	case "/PRS/GetPortNumber":
		return s.portNumber, http.MethodGet
	case "/PRS/ConnectPRService":
		return s.connectService, http.MethodGet
	case "/signalr/negotiate":
		return s.negotiate, http.MethodGet
	case "/signalr/connect":
		return s.connect, "GET, POST"
	case "/signalr/start":
		return s.start, http.MethodGet
	case "/signalr/poll":
		return s.poll, "GET, POST"
	case "/signalr/send":
		return s.send, http.MethodPost
	case "/signalr/abort":
		return s.abort, http.MethodPost
	}
	return nil, ""
}

// stranger returns why a caller is refused, or "". A page that was sent here under another name, by DNS of its own
// making, has that name in Host.
func (s *Server) stranger(r *http.Request) string {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	host, _, err := net.SplitHostPort(r.Host)
	switch {
	case !loopback(local) || !loopbackName(r.RemoteAddr):
		return "this agent serves only its own machine: let its site listen on loopback"
	case err != nil || (host != "localhost" && !net.ParseIP(host).IsLoopback()):
		return "this agent's host name is localhost"
	case !slices.Contains(s.Origins, r.Header.Get("Origin")):
		return "this origin is not allowed: add it to origin if it is your signing page's"
	}
	return ""
}

func loopback(at net.Addr) bool { return at != nil && loopbackName(at.String()) }

func loopbackName(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && net.ParseIP(host).IsLoopback()
}

// preflight answers preflight requests, including those that ask whether a public page may call a local address.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "content-type, x-requested-with")
	h.Set("Access-Control-Max-Age", "600")
	for _, network := range []string{"Private", "Local"} {
		if r.Header.Get("Access-Control-Request-"+network+"-Network") == "true" {
			h.Set("Access-Control-Allow-"+network+"-Network", "true")
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) portNumber(w http.ResponseWriter, r *http.Request) {
	_, text, _ := net.SplitHostPort(r.Host) // it has a port: see stranger
	port, err := strconv.Atoi(text)
	if err != nil {
		http.Error(w, "the address has no port", http.StatusBadRequest)
		return
	}
	answer(w, map[string]any{"portData": map[string]int{"portNumber": port}})
}

// connectService is what older pages call instead of portNumber.
func (s *Server) connectService(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]int{"statusCode": http.StatusOK})
}

// holder returns whose card signs.
func (s *Server) holder(ctx context.Context) (string, error) {
	sub := s.User
	if sub == "" {
		var err error
		if sub, err = s.Signer.(smartcard.Holder).Holder(ctx); err != nil {
			return "", err
		}
	}
	if !smartcard.Serves(s.Users, sub) {
		return "", &smartcard.Error{Code: smartcard.CodeNoCard}
	}
	return sub, nil
}
