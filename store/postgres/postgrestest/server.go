// Package postgrestest runs a real PostgreSQL server for tests, from the system's own programs, in a directory of its
// own. The server can be stopped, killed, frozen and restarted, and followed by a synchronous standby that can take
// over.
//
// PostgreSQL refuses to run as root, so under root it runs as the user postgres or nobody. It requires a password, as
// real servers do. It does not wait for the disk (fsync=off), since it survives the end of its processes anyway;
// benchmarks turn fsync on.
package postgrestest

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The user, its password and the database.
const (
	User     = "countersign"
	Password = "s3cret@pass/word" //nolint:gosec // for a server that lives as long as a test
	Database = "gateway"
)

// T is what a server needs of its test: a testing.TB, or what a benchmark outside of package testing provides.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(end func())
}

// Server is a PostgreSQL server of one test. It is not safe for concurrent use.
type Server struct {
	t    T
	dir  string // data, log and socket
	port int
	as   *syscall.Credential // nil: the user that runs the tests
	with []string            // settings, such as fsync=on

	process *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	said    *output
}

// Start starts a server with an empty database and settings such as fsync=on. The server and its data are removed
// when the test ends.
func Start(t T, settings ...string) *Server {
	t.Helper()
	s := newServer(t)
	s.with = settings
	if err := os.WriteFile(filepath.Join(s.dir, "password"), []byte(Password), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run("initdb", "--pgdata", s.data(), "--username", User, "--pwfile", filepath.Join(s.dir, "password"),
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	s.Resume()
	s.SQL("postgres", "CREATE DATABASE "+Database)
	return s
}

// newServer prepares the directory of a new server.
func newServer(t T) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") // short: a socket path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, port: freePort(t)}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() && s.said != nil {
			t.Logf("--- PostgreSQL printed:\n%s", s.said)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if os.Getuid() == 0 {
		s.as = unprivileged(t)
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// DSN returns the DSN of the server's database, password included. Further parameters may be appended.
func (s *Server) DSN() string { return DSN(s) }

// DSN returns a DSN for several servers, which selects the one that accepts writes.
func DSN(servers ...*Server) string {
	hosts := make([]string, len(servers))
	for i, s := range servers {
		hosts[i] = s.Address()
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(User, Password), Host: strings.Join(hosts, ","), Path: Database}
	u.RawQuery = "sslmode=disable"
	if len(servers) > 1 {
		u.RawQuery += "&target_session_attrs=read-write"
	}
	return u.String()
}

// Address returns the server's loopback address and port.
func (s *Server) Address() string { return net.JoinHostPort(s.host()) }

func (s *Server) host() (host, port string) { return "127.0.0.1", strconv.Itoa(s.port) }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Resume starts a stopped or killed server, and returns when it accepts connections.
func (s *Server) Resume() {
	s.t.Helper()
	s.said = &output{}
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for _, setting := range slices.Concat([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + s.dir, "max_connections=200", "fsync=off",
	}, s.with) {
		args = append(args, "-c", setting)
	}
	s.process = s.command("postgres", args...)
	s.process.Stdout, s.process.Stderr = s.said, s.said
	s.process.WaitDelay = 5 * time.Second
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		_ = process.Wait() // its exit status does not matter
		close(ended)
	}()
	s.await("connections", func() bool {
		return s.command("pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port)).Run() == nil
	})
}

// Stop shuts the server down as an administrator would (pg_ctl's fast mode): connections are notified and closed.
func (s *Server) Stop() {
	s.t.Helper()
	_ = s.process.Process.Signal(syscall.SIGINT)
	s.await("its end", s.gone)
}

// Kill ends the server and all its processes at once, like a crash of its machine, except for the disk's cache.
func (s *Server) Kill() {
	if s.process == nil || s.gone() {
		return
	}
	s.signal(syscall.SIGKILL)
	<-s.ended
}

// Pause freezes the server: its connections stay open, and nothing answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

// SQL runs a statement in a database as the server's owner.
func (s *Server) SQL(database, statement string) string {
	s.t.Helper()
	return s.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", User, "-d", database, "-c", statement)
}

// Said returns what the server has printed since its last start.
func (s *Server) Said() string { return s.said.String() }

func (s *Server) gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *Server) await(what string, ready func() bool) {
	s.t.Helper()
	deadline := time.After(time.Minute)
	for !ready() {
		select {
		case <-deadline:
			s.t.Fatalf("waited a minute for %s of PostgreSQL:\n%s", what, s.said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// signal signals the server and every process it has started, each of which leads a process group of its own.
func (s *Server) signal(signal syscall.Signal) {
	parent := s.process.Process.Pid
	all := []int{parent}
	_ = syscall.Kill(parent, signal) // first, so that it starts no more of them
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended in the meantime
		}
		rest := stat[bytes.LastIndexByte(stat, ')')+1:] // the name before may contain anything
		if fields := strings.Fields(string(rest)); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
				all = append(all, pid)
			}
		}
	}
	for _, pid := range all[1:] {
		_ = syscall.Kill(pid, signal)
	}
}

// command runs a program of PostgreSQL as the server's user.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(program(s.t, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PGPASSWORD="+Password, "PGCONNECT_TIMEOUT=10", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.as}
	return cmd
}

func (s *Server) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}

// program finds a program of the newest installed PostgreSQL. Debian keeps server programs outside of PATH.
func program(t T, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.SortFunc(found, func(a, b string) int { return len(a) - len(b) })
	if len(found) > 0 {
		return found[len(found)-1]
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is neither under /usr/lib/postgresql nor in PATH: install the package postgresql (scripts/ensure does)", name)
	}
	return path
}

func unprivileged(t T) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatal("PostgreSQL does not run as root, and there is no user postgres or nobody")
	return nil
}

// freePort returns a port below the system's range for outgoing connections and outside of the range used for
// gateways under test.
func freePort(t T) int {
	t.Helper()
	for range 1000 {
		port := 28000 + rand.IntN(4000)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no free port between 28000 and 32000")
	return 0
}

// output collects what a process prints, from several goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
