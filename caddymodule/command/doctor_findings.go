package command

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	caddybars "github.com/seed-dd2befc3/countersign/caddymodule/bars"
)

// condition is the result of a check.
type condition string

// The conditions. A failure makes the command fail; a warning does not.
const (
	conditionOK      condition = "ok"
	conditionWarning condition = "warning"
	conditionFailed  condition = "failed"
)

// finding is the result of one check and what to do about it.
type finding struct {
	Check     string    `json:"check"`
	Of        string    `json:"of"` // the key or system that was checked
	Condition condition `json:"condition"`
	Found     string    `json:"found"`
	Fix       string    `json:"fix,omitempty"`
}

// doctor checks senders and receivers, their settings and their surroundings (BAR-4.11). It changes nothing: it discards
// the one token that it gets.
type doctor struct {
	now     func() time.Time
	http    *http.Client
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
	strict  bool // names that break the rules are failures

	findings []finding
}

func newDoctor(through *http.Client) *doctor {
	return &doctor{now: time.Now, http: through, resolve: net.DefaultResolver.LookupNetIP}
}

func (d *doctor) add(check, of string, c condition, found, fix string) {
	d.findings = append(d.findings, finding{check, of, c, found, fix})
}

func (d *doctor) ok(check, of, found string, args ...any) {
	d.add(check, of, conditionOK, fmt.Sprintf(found, args...), "")
}

func (d *doctor) failed(check, of string, err error, fix string) {
	d.add(check, of, conditionFailed, err.Error(), fix)
}

// broken adds a finding about a name that breaks a rule.
func (d *doctor) broken(check, of string, err error, fix string) {
	v := conditionWarning
	if d.strict {
		v = conditionFailed
	}
	d.add(check, of, v, err.Error(), fix)
}

// ill reports whether any check failed.
func (d *doctor) ill() bool {
	for _, f := range d.findings {
		if f.Condition == conditionFailed {
			return true
		}
	}
	return false
}

// expiry checks when certificates expire.
func (d *doctor) expiry(of string, certificates ...*x509.Certificate) {
	for _, c := range certificates {
		check, fix := "leaf expiry", "make a new request in a new directory (caddy countersign onboard csr), and ask for a new certificate now"
		if c.IsCA {
			check, fix = "CA expiry", "get the environment's new root and sub certificates, and name both chains until all certificates are of the new one"
		}
		found := fmt.Sprintf("%s is valid until %s", c.Subject, minute(c.NotAfter))
		switch left := c.NotAfter.Sub(d.now()); {
		case left <= 0:
			d.add(check, of, conditionFailed, fmt.Sprintf("%s expired on %s", c.Subject, minute(c.NotAfter)), fix)
		case d.now().Before(c.NotBefore):
			d.add(check, of, conditionFailed, fmt.Sprintf("%s is not valid before %s", c.Subject, minute(c.NotBefore)), "check this machine's clock (timedatectl), or wait")
		case left < caddybars.ExpirySoon:
			d.add(check, of, conditionWarning, found, fix)
		default:
			d.ok(check, of, "%s", found)
		}
	}
}

// private warns of a private key that other users of the machine can read.
func (d *doctor) private(of, path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.add("private key", of, conditionWarning, fmt.Sprintf("%s has mode %04o: others on this machine can read it", path, info.Mode().Perm()), "chmod 600 "+path)
	}
}
