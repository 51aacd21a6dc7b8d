package mocksigner

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

// Options say how the mock signs, and what it does wrong.
type Options struct {
	// CA issues the cards. Mandatory.
	CA *CA

	// Faults are drawn anew for each job, in this order: the first that hits is the job's fault. Slow is drawn
	// besides. No name may come twice for the same users.
	Faults []Fault

	// Delay is the wait before each item is signed. Default none.
	Delay time.Duration

	// CRLURL, if it is set, stands in every revoked card as its CRL distribution point. It is for whoever configures the
	// mock to serve CA.CRL there, to those who are to find out. All other cards name none, so that whoever gets their
	// certificates has nothing to fetch.
	CRLURL string

	// Now is the clock by which cards are issued. Default time.Now.
	Now func() time.Time

	// Rand draws faults, serials and salts. Default crypto/rand; keys always come from there.
	Rand io.Reader

	// Logger is told of each fault that hits. Default: silence.
	Logger *slog.Logger
}

// Mock is a smartcard.Signer that holds a card for everybody. It may be used by many goroutines.
type Mock struct {
	ca     *CA
	faults []Fault
	delay  time.Duration
	crlURL string
	now    func() time.Time
	random io.Reader
	log    *slog.Logger
	key    func() (*rsa.PrivateKey, error) // of every card; made for the first job

	mu       sync.Mutex
	cards    map[cardID]issued
	impostor *CA // made when first wanted
}

var _ smartcard.Signer = (*Mock)(nil)

// New checks the options. It makes no key: the first job does, once.
func New(o Options) (*Mock, error) {
	if o.CA == nil {
		return nil, errors.New("mock smartcard agent: a CA is mandatory")
	}
	if o.Delay < 0 {
		return nil, errors.New("mock smartcard agent: the delay must not be negative")
	}
	if u, err := url.Parse(o.CRLURL); err != nil || o.CRLURL != "" && u.Host == "" {
		return nil, fmt.Errorf("mock smartcard agent: the CRL address %q is not a URL", o.CRLURL)
	}
	if err := CheckFaults(o.Faults); err != nil {
		return nil, fmt.Errorf("mock smartcard agent: %w", err)
	}
	m := &Mock{
		ca: o.CA, faults: o.Faults, delay: o.Delay, crlURL: o.CRLURL, now: o.Now, log: o.Logger,
		random: &sharedReader{r: o.Rand},
		key:    sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
		cards:  make(map[cardID]issued),
	}
	if o.Rand == nil {
		m.random = rand.Reader
	}
	if m.now == nil {
		m.now = time.Now
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	return m, nil
}

// Health is that of a reader with a card in it.
func (m *Mock) Health(context.Context) (smartcard.Health, error) {
	return smartcard.Health{Ready: true, Card: "present", Subject: "MOCK, signs for every user, " + m.ca.cert.Subject.CommonName}, nil
}

// Sign signs the job, with the fault that is drawn for it.
func (m *Mock) Sign(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
	fault, delay, err := m.draw(job.Sub)
	if err != nil {
		return err
	}
	if fault != "" || delay > m.delay {
		m.log.InfoContext(ctx, "mock smartcard fault", "job", job.Job, "fault", fault, "delay", delay)
	}
	if why, refused := refusals[fault]; refused {
		return out.Fail(job.Payloads[0].ID, why)
	}
	key, err := m.key()
	if err != nil {
		return err
	}
	sub, kind := job.Sub, cardKinds[fault]
	if fault == OtherUser {
		sub = otherUser(sub)
	}
	der, err := m.card(sub, kind, &key.PublicKey)
	if err != nil {
		return err
	}
	if err := out.Certificate(der); err != nil {
		return err
	}
	play := script(fault, job.Payloads)
	for _, item := range play.items {
		if err := wait(ctx, delay); err != nil {
			return err
		}
		sig, err := sign(job.Algorithm, key, item.text, m.random)
		if err != nil {
			return err
		}
		if err := item.send(out, sig); err != nil {
			return err
		}
	}
	if play.end == nil {
		return nil
	}
	return play.end(ctx, out)
}

// draw decides one job's fault, if any, and the wait before each of its items.
func (m *Mock) draw(user string) (fault string, delay time.Duration, err error) {
	delay = m.delay
	for _, f := range m.faults {
		if fault != "" && f.Name != Slow || !f.concerns(user) {
			continue
		}
		hit, err := f.hits(m.random)
		switch {
		case err != nil:
			return "", 0, err
		case !hit:
		case f.Name != Slow:
			fault = f.Name
		case f.Delay == 0:
			delay += defaultSlow
		default:
			delay += f.Delay
		}
	}
	return fault, delay, nil
}

func wait(ctx context.Context, delay time.Duration) error {
	if delay == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sharedReader lets many goroutines read from one source.
type sharedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (s *sharedReader) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(p)
}
