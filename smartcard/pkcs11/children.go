package pkcs11

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// keepIdle is how long an idle child waits for another job.
const keepIdle = 5 * time.Minute

// children are the running children: those at work, each held by its job, and at most one idle.
type children struct {
	command command
	log     *slog.Logger

	mu     sync.Mutex
	idle   *process
	expiry *time.Timer // of idle
	closed bool
}

// borrow gives a child to one job. fresh reports that it has not served before.
func (c *children) borrow(ctx context.Context) (p *process, fresh bool, err error) {
	c.mu.Lock()
	p, c.idle = c.idle, nil
	if p != nil {
		c.expiry.Stop()
	}
	c.mu.Unlock()
	if p != nil && p.alive() {
		return p, false, nil
	}
	if p != nil {
		p.kill()
	}
	p, err = c.another(ctx)
	return p, true, err
}

// another starts a child.
func (c *children) another(ctx context.Context) (*process, error) {
	p, err := c.command.run(ctx)
	if err != nil {
		return nil, err
	}
	c.log.DebugContext(ctx, "PKCS#11 module loaded", "pid", p.cmd.Process.Pid, "module", p.module)
	return p, nil
}

// giveBack takes back a child that ended its job cleanly, for the next job.
func (c *children) giveBack(p *process) {
	c.mu.Lock()
	if c.closed || c.idle != nil || !p.alive() {
		c.mu.Unlock()
		p.kill()
		return
	}
	c.idle = p
	c.expiry = time.AfterFunc(keepIdle, func() { c.expire(p) })
	c.mu.Unlock()
}

func (c *children) expire(p *process) {
	c.mu.Lock()
	expired := c.idle == p
	if expired {
		c.idle = nil
	}
	c.mu.Unlock()
	if expired {
		p.kill()
	}
}

// close keeps no child: it kills the idle one, and each of the others when its job ends.
func (c *children) close() {
	c.mu.Lock()
	idle := c.idle
	c.closed, c.idle = true, nil
	if idle != nil {
		c.expiry.Stop()
	}
	c.mu.Unlock()
	if idle != nil {
		idle.kill()
	}
}
