package gateway

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// PID is the process id of the running gateway.
func (g *Gateway) PID() int { return g.process.cmd.Process.Pid }

var goroutineTotal = regexp.MustCompile(`^goroutine profile: total (\d+)\n`)

// Goroutines counts the gateway's goroutines and tells where they are, as Caddy's admin endpoint knows it.
func (g *Gateway) Goroutines() (n int, where string) {
	g.t.Helper()
	answer := Get(g.t, "http://"+g.admin()+"/debug/pprof/goroutine?debug=1", nil)
	found := goroutineTotal.FindSubmatch(answer.Body)
	if answer.Status != http.StatusOK || found == nil {
		g.t.Fatalf("the goroutine profile was answered %d: %.200s", answer.Status, answer.Body)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		g.t.Fatal(err)
	}
	return n, string(answer.Body)
}

// OpenFiles are what the gateway's file handles lead to (Linux).
func (g *Gateway) OpenFiles() []string {
	g.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", g.PID())
	handles, err := os.ReadDir(dir)
	if err != nil {
		g.t.Fatal(err)
	}
	var files []string
	for _, handle := range handles {
		if file, err := os.Readlink(filepath.Join(dir, handle.Name())); err == nil { // it may be closed by now
			files = append(files, file)
		}
	}
	return files
}
