package gateway

import "syscall"

// Option is how one gateway differs from the plain one.
type Option func(*Gateway)

// Home has the gateway live in a directory of the test's own, such as one on a disk that will fail.
func Home(dir string) Option { return func(g *Gateway) { g.dir = dir } }

// Beside has the gateway be another node of the cluster that a gateway is one of: they share Caddy's storage.
func Beside(other *Gateway) Option { return func(g *Gateway) { g.data = other.data } }

// Built has the gateway run another binary than the one under test.
func Built(binary string) Option { return func(g *Gateway) { g.binary = binary } }

// Env gives the gateway more variables, each as NAME=value.
func Env(variables ...string) Option {
	return func(g *Gateway) { g.env = append(g.env, variables...) }
}

// Signal sends the running gateway a signal, such as SIGSTOP.
func (g *Gateway) Signal(signal syscall.Signal) {
	g.t.Helper()
	if err := syscall.Kill(-g.PID(), signal); err != nil {
		g.t.Fatal(err)
	}
}

// Running says whether the gateway's process is there.
func (g *Gateway) Running() bool { return g.process.Running() }

// LastOutput is what the gateway has printed since it was started last.
func (g *Gateway) LastOutput() string { return g.process.Output() }
