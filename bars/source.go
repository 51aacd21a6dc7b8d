package bars

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/outbound"
)

// How often a catalogue is read, and how old one from a URL may get (BAR-1.29).
const (
	EveryFile = 5 * time.Second
	EveryURL  = 15 * time.Minute
	MaxAge    = 24 * time.Hour

	firstRetry   = 5 * time.Second // after a URL's first failure; doubled each time, up to EveryURL
	maxCatalogue = 32 << 20        // bytes
)

// SourceOptions configure a Source. One of File and URL is mandatory.
type SourceOptions struct {
	File  string
	URL   string
	HTTP  *http.Client  // for URL
	Every time.Duration // how often the catalogue is read; zero: EveryFile or EveryURL
	Rules Rules

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: nothing is logged
}

// Source keeps a catalogue up to date. A good catalogue replaces the current one; a bad one does not. Its states are
//
//	none ──good──▶ current ──good──▶ current
//	                  │ 24 h without a good one, from an address
//	                  └──▶ too old, which is none
//
// A file stays current until it is replaced: whoever writes it is responsible for its age.
type Source struct {
	SourceOptions

	start sync.Once
	stop  context.CancelFunc
	life  context.Context
	tasks sync.WaitGroup

	mu       sync.Mutex
	current  *Catalogue
	sum      [sha256.Size]byte // of the current catalogue's text
	good     time.Time         // when it was last found valid
	changed  time.Time         // when it replaced its predecessor
	err      error             // of the last read
	seen     os.FileInfo       // of the file, at the last read
	failures int               // failed reads since the last good one
}

// SourceStatus describes the state of a catalogue.
type SourceStatus struct {
	Source  string    `json:"source"`
	Targets int       `json:"targets"`
	Good    time.Time `json:"good,omitzero"`    // when it was last found valid
	Changed time.Time `json:"changed,omitzero"` // when its content last changed
	Error   string    `json:"error,omitempty"`  // of the last read
	LeftOut []string  `json:"leftOut,omitempty"`
	Unusual []string  `json:"unusual,omitempty"`
}

// NewSource makes a Source. It does not read yet.
func NewSource(options SourceOptions) *Source {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Every <= 0 {
		options.Every = EveryFile
		if options.URL != "" {
			options.Every = EveryURL
		}
	}
	s := &Source{SourceOptions: options}
	s.life, s.stop = context.WithCancel(context.Background())
	return s
}

// First reads a file for the first time. It does nothing for a URL, or for a file read before. A bad file is an error
// only here.
func (s *Source) First() error {
	if s.File == "" || s.has() {
		return nil
	}
	if err := s.look(); err != nil {
		return fmt.Errorf("catalogue %s: %w", s.File, err)
	}
	return nil
}

func (s *Source) has() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil
}

// Start reads the catalogue in the background until Close. Further calls do nothing.
func (s *Source) Start() {
	s.start.Do(func() {
		s.tasks.Go(func() {
			wait := s.Every
			if s.URL != "" {
				wait = 0
			}
			timer := time.NewTimer(wait)
			defer timer.Stop()
			for {
				select {
				case <-timer.C:
					_ = s.look() // the error is recorded and logged
					timer.Reset(s.pause())
				case <-s.life.Done():
					return
				}
			}
		})
	})
}

// pause returns the time until the next read.
func (s *Source) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.URL == "" || s.failures == 0 {
		return s.Every
	}
	return min(s.Every, firstRetry<<min(s.failures-1, 10))
}

// Close stops what Start began and waits for it.
func (s *Source) Close() {
	s.start.Do(func() {}) // keep a later Start from running
	s.stop()
	s.tasks.Wait()
}

// Current returns the current catalogue, or why there is none.
func (s *Source) Current() (*Catalogue, *Outcome) {
	s.mu.Lock()
	current, good, err := s.current, s.good, s.err
	s.mu.Unlock()
	switch {
	case current == nil && err == nil:
		return nil, noCatalogue.With("the catalogue %s has not been read yet", s.location())
	case current == nil:
		return nil, noCatalogue.With("the catalogue %s: %v", s.location(), err)
	case s.URL != "" && s.Now().Sub(good) > MaxAge:
		return nil, noCatalogue.With("the catalogue %s is older than %s: %v", s.location(), MaxAge, err)
	}
	return current, nil
}

func (s *Source) location() string {
	if s.File != "" {
		return s.File
	}
	return s.URL
}

// look reads the catalogue once and keeps it if it is good.
func (s *Source) look() error {
	text, info, err := s.read()
	if errors.Is(err, errSame) {
		s.unchanged()
		return nil
	}
	sum := sha256.Sum256(text)
	var read *Catalogue
	if err == nil && !s.is(sum) {
		read, err = ParseCatalogue(text, s.Rules)
	}
	if s.life.Err() != nil {
		return s.life.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = info
	if err != nil {
		s.failed(err)
		return err
	}
	mended := s.err != nil
	s.good, s.err, s.failures = s.Now(), nil, 0
	if read != nil {
		s.current, s.sum, s.changed = read, sum, s.good
	}
	if read != nil || mended {
		s.Logger.Info("endpoint catalogue loaded", "catalogue", s.location(), "targets", s.current.Size())
	}
	if read != nil {
		s.warn(read)
	}
	return nil
}

// unchanged records that a file has not changed.
func (s *Source) unchanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.good = s.Now()
	}
}

// is reports whether sum is that of the current catalogue's text.
func (s *Source) is(sum [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && s.sum == sum
}

// failed records a read that gave no good catalogue. It requires s.mu.
func (s *Source) failed(err error) {
	news := s.err == nil || s.err.Error() != err.Error()
	s.err = err
	s.failures++
	switch {
	case !news && s.File != "":
	case s.current == nil:
		s.Logger.Error("endpoint catalogue cannot be used and there is no earlier one: requests fail until it is corrected",
			"catalogue", s.location(), "fault", FaultProxy, "error", err)
	default:
		s.Logger.Warn("endpoint catalogue cannot be used, the last good one stays in use: correct it",
			"catalogue", s.location(), "fault", FaultProxy, "error", err, "good", s.good)
	}
}

// maxWarned is how many entries of a catalogue are logged by name.
const maxWarned = 20

// warn logs entries that are left out or unusual.
func (s *Source) warn(read *Catalogue) {
	for said, entries := range map[string][]string{
		"endpoint catalogue entries were left out":          read.LeftOut(),
		"endpoint catalogue entries break the naming rules": read.Unusual(),
	} {
		if len(entries) > 0 {
			s.Logger.Warn(said, "catalogue", s.location(), "count", len(entries), "entries", entries[:min(len(entries), maxWarned)])
		}
	}
}

// errSame says that a file has not changed since the last read.
var errSame = errors.New("the file has not changed")

// read returns the catalogue's text, bounded in size and time.
func (s *Source) read() ([]byte, os.FileInfo, error) {
	if s.File != "" {
		return s.readFile()
	}
	request, err := http.NewRequestWithContext(s.life, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.HTTP.Do(request) //nolint:bodyclose // ReadBody closes it
	if err != nil {
		return nil, nil, err
	}
	text, err := outbound.ReadBody(response, maxCatalogue)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("got status %d, want 200", response.StatusCode)
	}
	return text, nil, err
}

// readFile reads a file unless it has not changed since the last read.
func (s *Source) readFile() ([]byte, os.FileInfo, error) {
	info, err := os.Stat(s.File)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	seen := s.seen
	s.mu.Unlock()
	if seen != nil && os.SameFile(info, seen) && info.ModTime().Equal(seen.ModTime()) && info.Size() == seen.Size() {
		return nil, nil, errSame
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	file, err := os.Open(s.File)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCatalogue+1))
	if err == nil && len(text) > maxCatalogue {
		err = fmt.Errorf("larger than %d bytes", maxCatalogue)
	}
	return text, info, err
}

// Status describes the state of the catalogue.
func (s *Source) Status() SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := SourceStatus{Source: s.location(), Good: s.good, Changed: s.changed}
	if s.current != nil {
		status.Targets, status.LeftOut, status.Unusual = s.current.Size(), s.current.LeftOut(), s.current.Unusual()
	}
	if s.err != nil {
		status.Error = s.err.Error()
	}
	return status
}
