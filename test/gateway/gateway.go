package gateway

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Gateway is a running Caddy with a Caddyfile of the test's own. Not for concurrent use, but for its URLs.
type Gateway struct {
	t       testing.TB
	dir     string         // its home: configuration, data, everything
	data    string         // Caddy's data, which nodes of a cluster share
	ports   map[string]int // by the name in the Caddyfile
	binary  string         // in place of the one under test
	env     []string       // more of it
	process *Process

	certificates []string // that it makes by itself
	outputs      []string // of the processes before this one
	private      []string
}

// portName is how a Caddyfile asks for a free port: {$PORT_GATEWAY}. The same name is the same port.
var portName = regexp.MustCompile(`\{\$PORT_([A-Z0-9_]+)\}`)

// adminPort is the name of the port that Caddy's own admin endpoint gets, without being asked for.
const adminPort = "ADMIN"

// Start runs the Caddyfile and returns when every port in it accepts connections and every certificate that
// Caddy makes for it is there. In the text, {$PORT_X}
// stands for a free port below 32768, known as X.
func Start(t testing.TB, caddyfile string, options ...Option) *Gateway {
	t.Helper()
	g := &Gateway{t: t, ports: map[string]int{}}
	for _, option := range options {
		option(g)
	}
	if g.dir == "" {
		g.dir = t.TempDir()
	}
	if g.data == "" {
		g.data = g.path("data")
	}
	if g.binary == "" {
		g.binary = Binary(t)
	}
	g.write(caddyfile)
	g.launch()
	t.Cleanup(g.judge)
	return g
}

// patience is how long a start or a reload may take on a busy machine with the race detector. One that works never waits
// for it.
const patience = 3 * time.Minute

func (g *Gateway) launch() {
	g.t.Helper()
	g.spawn()
	g.process.Await("its ports and certificates", patience, g.ready)
}

func (g *Gateway) spawn() {
	g.t.Helper()
	cmd := exec.Command(g.binary, "run", "--adapter", "caddyfile", "--config", g.path("Caddyfile"))
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(),
		"HOME="+g.dir, "XDG_DATA_HOME="+g.data, "XDG_CONFIG_HOME="+g.path("config"),
		"CADDY_ADMIN="+g.admin(), "GORACE=halt_on_error=0")
	cmd.Env = append(cmd.Env, g.env...)
	g.process = Launch(g.t, cmd)
}

// ready says what is not there yet: a port that accepts no connection, or a certificate of Caddy's own CA that a site or
// an agent's client needs and that Caddy makes in the background.
func (g *Gateway) ready() error {
	for name, port := range g.ports {
		conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
		if err != nil {
			return fmt.Errorf("port %s: %w", name, err)
		}
		conn.Close()
	}
	for _, name := range g.certificates {
		if _, err := os.Stat(g.Data("certificates/local/" + name + "/" + name + ".json")); err != nil {
			return fmt.Errorf("certificate of %s: %w", name, err)
		}
	}
	return nil
}

// certificateNames finds in a Caddyfile whose certificates Caddy has to make by itself.
func certificateNames(caddyfile string) []string {
	var names []string
	for _, found := range regexp.MustCompile(`(?m)^\s*tls_client_auth (\S+)$`).FindAllStringSubmatch(caddyfile, -1) {
		names = append(names, found[1])
	}
	for _, found := range regexp.MustCompile(`(?m)^https://([^:\s]+):\d+ \{\n\s*tls internal`).FindAllStringSubmatch(caddyfile, -1) {
		names = append(names, found[1])
	}
	return names
}

func (g *Gateway) path(name string) string { return filepath.Join(g.dir, name) }

func (g *Gateway) admin() string { return loopback(g.port(adminPort)) }

// write stores the Caddyfile with its ports filled in, and returns the text.
func (g *Gateway) write(caddyfile string) string {
	g.t.Helper()
	g.port(adminPort)
	text := portName.ReplaceAllStringFunc(caddyfile, func(ask string) string {
		return strconv.Itoa(g.port(portName.FindStringSubmatch(ask)[1]))
	})
	g.certificates = certificateNames(text)
	if err := os.WriteFile(g.path("Caddyfile"), []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return text
}

func (g *Gateway) port(name string) int {
	if g.ports[name] == 0 {
		g.ports[name] = FreePort(g.t)
	}
	return g.ports[name]
}

// FreePort finds a loopback port that nobody listens on, below the range from which the system itself hands
// out ports for outgoing connections, and reserves it for as long as this process lives: two Caddys that were given the
// same port would both listen on it without a word, and share its connections.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(18000)
		if !reserve(port) {
			continue
		}
		listener, err := net.Listen("tcp", loopback(port))
		if err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no free port between 10000 and 28000")
	return 0
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// URL is http://localhost at the named port of the Caddyfile, followed by path.
func (g *Gateway) URL(name, path string) string { return "http://localhost:" + g.Port(name) + path }

// Port is the number behind a port's name.
func (g *Gateway) Port(name string) string {
	g.t.Helper()
	port, ok := g.ports[name]
	if !ok {
		g.t.Fatalf("the Caddyfile names no port %s", name)
	}
	return strconv.Itoa(port)
}

// Data is the path of a file in Caddy's data directory.
func (g *Gateway) Data(path string) string { return filepath.Join(g.data, "caddy", path) }

// Output is everything that the gateway has printed, over all its restarts.
func (g *Gateway) Output() string {
	return strings.Join(append(g.outputs[:len(g.outputs):len(g.outputs)], g.process.Output()), "")
}

// Stop ends the gateway by SIGTERM and waits for it.
func (g *Gateway) Stop() {
	g.t.Helper()
	g.process.Stop()
}

// Kill ends the gateway by SIGKILL.
func (g *Gateway) Kill() { g.process.Kill() }

// Restart starts a stopped or killed gateway again, with the same configuration, data and ports.
func (g *Gateway) Restart() {
	g.t.Helper()
	g.Spawn()
	g.process.Await("its ports and certificates", patience, g.ready)
}

// Spawn is Restart without the wait: the gateway may as well fail to start.
func (g *Gateway) Spawn() {
	g.t.Helper()
	if g.process.Running() {
		g.t.Fatal("a gateway can be started again when it was stopped or killed")
	}
	g.outputs = append(g.outputs, g.process.Output())
	g.spawn()
}

// RestartWith is Restart with another Caddyfile.
func (g *Gateway) RestartWith(caddyfile string) {
	g.t.Helper()
	g.write(caddyfile)
	g.Restart()
}

// Reload replaces the configuration of the running gateway through Caddy's admin endpoint.
func (g *Gateway) Reload(caddyfile string) {
	g.t.Helper()
	if err := g.TryReload(caddyfile); err != nil {
		g.t.Fatal(err)
	}
	g.process.Await("what a reload brings", patience, g.ready)
}

// TryReload is Reload for a configuration that may be refused; the error is what Caddy says. One that is as before is
// loaded all the same, as by `caddy reload --force`. Either way a new connection is answered by the configuration that is
// now in force: one that is refused may have begun to listen too.
func (g *Gateway) TryReload(caddyfile string) error {
	g.t.Helper()
	text := g.write(caddyfile)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequest(http.MethodPost, "http://"+g.admin()+"/load", strings.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/caddyfile")
	request.Header.Set("Cache-Control", "must-revalidate")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	g.process.Await("the other configuration's listeners to close", patience, g.listensOnce)
	if response.StatusCode != http.StatusOK {
		return errors.New("reload refused: " + string(said))
	}
	return nil
}

// MustNotLog declares texts (tokens, payloads, user ids) that the gateway may never print.
func (g *Gateway) MustNotLog(texts ...string) { g.private = append(g.private, texts...) }

// judge is the last look at everything the gateway said. It runs before the process is ended by force.
func (g *Gateway) judge() {
	if g.process.Running() && !g.t.Failed() {
		g.process.Stop() // the race detector tells everything only at the end
	}
	said := g.Output()
	for _, bad := range []string{"DATA RACE", "panic:", "http: panic serving", "fatal error:"} {
		if strings.Contains(said, bad) {
			g.t.Errorf("the gateway printed %q", bad)
		}
	}
	for _, text := range g.private {
		if strings.Contains(said, text) {
			g.t.Errorf("the gateway logged something private: %.40q…", text)
		}
	}
}
