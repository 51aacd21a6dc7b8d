package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// The tolerated clock difference from the token service: an assertion expires in 240 s, and 310 s are allowed (TOK-2.8,
// TOK-2.17).
const (
	skewNoted   = 5 * time.Second
	skewTooMuch = 30 * time.Second
)

// maxPublished bounds the size of a key set.
const maxPublished = 1 << 20

// senderSubject is a sender's key to check.
type senderSubject struct {
	environment        caddymodule.Environment
	tokenURL, audience string
	client             string
	kid, keyFile       string
	published          string // URL or file of the key set that is registered; may be empty
}

// sender checks a sender's key, the token service, and whether the key gets a token.
func (d *doctor) sender(ctx context.Context, s senderSubject) {
	if kid, err := bars.ParseKID(s.kid); err != nil {
		d.broken("kid", s.kid, err, "keep it where it works; the next key gets a kid by the rule")
	} else if want := strings.ToUpper(string(s.environment)); kid.Environment != want {
		d.broken("kid", s.kid, fmt.Errorf("the kid names %s, and the sender is on %s", kid.Environment, want), "check that this is the key of "+want+": each environment has its own")
	} else {
		d.ok("kid", s.kid, "follows the rule")
	}
	text, err := os.ReadFile(s.keyFile)
	var signer *jwks.Signer
	if err == nil {
		signer, err = jwks.ParseSigner(s.kid, text)
	}
	if err != nil {
		d.failed("private key", s.kid, err, "name the PEM file with the RSA private key; caddy countersign onboard key makes one")
		return
	}
	d.private(s.kid, s.keyFile)
	if bits := signer.Key().Bits(); bits < recommendedBits {
		d.add("private key", s.kid, conditionWarning, fmt.Sprintf("it has %d bits", bits), "make the next one with 4096")
	} else {
		d.ok("private key", s.kid, "RSA, %d bits", bits)
	}
	if s.published != "" {
		d.publishedKey(ctx, s, signer)
	}
	d.audience(s)
	if d.clock(ctx, s) {
		d.token(ctx, s, signer)
	}
}

// publishedKey compares the private key with the registered key set.
func (d *doctor) publishedKey(ctx context.Context, s senderSubject, signer *jwks.Signer) {
	const check = "published key"
	text, err := d.read(ctx, s.published)
	var set *jwks.Set
	if err == nil {
		set, err = jwks.ParseSet(text)
	}
	if err != nil {
		d.failed(check, s.kid, err, "publish the key set that caddy countersign jwks prints, with neither redirect nor login, and without private members")
		return
	}
	key, ok := set.Key(s.kid)
	switch {
	case !ok:
		d.add(check, s.kid, conditionFailed, fmt.Sprintf("the kid is not in %s", s.published), "publish the key under this kid, wait an hour, and only then sign with it; kids must match exactly")
	case key.Thumbprint() != signer.Key().Thumbprint():
		d.add(check, s.kid, conditionFailed, fmt.Sprintf("%s has another key under this kid", s.published), "use the private key of the published one, or publish this one under a new kid")
	default:
		d.ok(check, s.kid, "is in %s", s.published)
	}
}

// read reads a file or a URL.
func (d *doctor) read(ctx context.Context, from string) ([]byte, error) {
	if !strings.HasPrefix(from, "https://") && !strings.HasPrefix(from, "http://") {
		return os.ReadFile(from)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	response, err := d.http.Do(request) //nolint:bodyclose // ReadBody closes it
	if err != nil {
		return nil, err
	}
	text, err := outbound.ReadBody(response, maxPublished)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d", from, response.StatusCode)
	}
	return text, err
}

// audience checks that aud is the token URL, and that both belong to the environment.
func (d *doctor) audience(s senderSubject) {
	const check = "aud"
	if s.audience != s.tokenURL {
		d.add(check, s.kid, conditionFailed, fmt.Sprintf("aud is %s, and the token URL is %s", s.audience, s.tokenURL), "make them the same, letter by letter; leave audience out")
		return
	}
	if of := caddymodule.EnvironmentOf(s.tokenURL); of != "" && of != s.environment {
		d.add(check, s.kid, conditionFailed, fmt.Sprintf("%s belongs to the %s environment, but this sender is in %s", s.tokenURL, of, s.environment), "set token URL and environment together; leave token_url out for NHS England's")
		return
	}
	d.ok(check, s.kid, "is the token URL, %s", s.tokenURL)
}

// clock compares the clocks, and thereby checks that the token service can be reached.
func (d *doctor) clock(ctx context.Context, s senderSubject) (reached bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.tokenURL, nil)
	if err != nil {
		d.failed("egress", s.kid, err, "correct the token URL")
		return false
	}
	host, before := request.URL.Hostname(), d.now()
	response, err := d.http.Do(request)
	if err != nil {
		d.failed("egress", s.kid, shortly(err), egressFix(err, host))
		return false
	}
	_ = response.Body.Close() // only the Date header matters
	d.ok("egress", s.kid, "reaches %s", host)
	there, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		d.add("clock", s.kid, conditionWarning, "the token service's answer has no Date header", "compare this machine's clock by other means (timedatectl)")
		return true
	}
	skew := skewOf(before, d.now(), there)
	switch ahead := map[bool]string{true: "ahead of", false: "behind"}[skew > 0]; {
	case skew.Abs() > skewTooMuch:
		d.add("clock", s.kid, conditionFailed, fmt.Sprintf("this machine's clock is %s %s the token service's", skew.Abs(), ahead), "set it, and keep it set: timedatectl set-ntp true")
	case skew.Abs() > skewNoted:
		d.add("clock", s.kid, conditionWarning, fmt.Sprintf("this machine's clock is %s %s the token service's", skew.Abs(), ahead), "keep it set: timedatectl set-ntp true")
	default:
		d.ok("clock", s.kid, "agrees with the token service's")
	}
	return true
}

// skewOf returns by how much this machine's clock is ahead of another's, which read there between before and after. It
// returns the least possible value, because a slow answer is no fault of a clock.
func skewOf(before, after, there time.Time) time.Duration {
	least, most := before.Sub(there.Add(time.Second)), after.Sub(there) // Date has no fractions
	return max(min(most, 0), least).Round(time.Second)
}

// token gets a token to see whether that works, and discards it.
func (d *doctor) token(ctx context.Context, s senderSubject, signer *jwks.Signer) {
	source, err := oauth.NewSource(oauth.SourceOptions{
		TokenURL: s.tokenURL, Audience: s.audience, ClientID: s.client, HTTP: d.http, Now: d.now,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return []*jwks.Signer{signer}, nil },
	})
	if err != nil {
		d.failed("token", s.kid, err, "give the client (--client, or client in apim_sender): the application's API key")
		return
	}
	token, err := source.Token(ctx)
	if refusal, ok := errors.AsType[*oauth.TokenError](err); ok {
		d.failed("token", s.kid, refusal, refusal.Fix())
		return
	} else if err != nil {
		d.failed("token", s.kid, shortly(err), "look at egress, and try again")
		return
	}
	d.ok("token", s.kid, "got one, valid for %d seconds", int(time.Until(source.Expires(token)).Round(time.Second)/time.Second))
}

// shortly returns the error of a failed request without its URL, which is printed next to it.
func shortly(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

// egressFix says what to do about an unreachable host.
func egressFix(err error, host string) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted here: a proxy in between may have its own (--ca), or the host is another one"
	}
	return "let this machine connect to " + host + " on port 443, and resolve its name: look at firewall, proxy and DNS"
}
