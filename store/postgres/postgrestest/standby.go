package postgrestest

import "os"

// Standby starts a second server that follows a primary synchronously: from then on the primary acknowledges nothing
// that the standby does not have.
func Standby(t T, primary *Server) *Server {
	t.Helper()
	s := newServer(t)
	s.with = primary.with
	s.Follow(primary)
	return s
}

// Follow makes an ended server a synchronous standby of another, from a fresh copy of its data. Its own data are
// discarded; its port stays the same.
func (s *Server) Follow(primary *Server) {
	s.t.Helper()
	s.Kill()
	if err := os.RemoveAll(s.data()); err != nil {
		s.t.Fatal(err)
	}
	host, port := primary.host()
	s.run("pg_basebackup", "--pgdata", s.data(), "--host", host, "--port", port, "--username", User,
		"--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	s.Resume()
	primary.SQL("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
	primary.SQL("postgres", "SELECT pg_reload_conf()")
	s.await("a synchronous standby", func() bool {
		return primary.SQL("postgres", "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
	})
}

// Promote makes a standby the primary. The former primary must have ended for good, or the two would diverge.
func (s *Server) Promote() {
	s.t.Helper()
	s.SQL("postgres", "SELECT pg_promote()")
}
