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

// How often a catalogue is looked at, and how old one from an address may get (BAR-1.29).
const (
	EveryFile = 5 * time.Second
	EveryURL  = 15 * time.Minute
	MaxAge    = 24 * time.Hour

	firstRetry   = 5 * time.Second // of an address that gave nothing; then doubled each time, up to EveryURL
	maxCatalogue = 32 << 20        // bytes
)

// SourceOptions say where a catalogue comes from. One of File and URL is mandatory.
type SourceOptions struct {
	File  string
	URL   string
	HTTP  *http.Client  // for URL
	Every time.Duration // how often it is looked at; zero: EveryFile or EveryURL
	Rules Rules

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: nothing is logged
}

// Source is a catalogue that is looked at again and again. What is good replaces what there is; what is bad does
// not. A catalogue in it is
//
//	none ──good──▶ current ──good──▶ current
//	                  │ 24 h without a good one, from an address
//	                  └──▶ too old, which is none
//
// A file stays current for as long as it is not replaced: whoever writes it answers for its age.
type Source struct {
	SourceOptions

	start sync.Once
	stop  context.CancelFunc
	life  context.Context
	tasks sync.WaitGroup

	mu       sync.Mutex
	current  *Catalogue
	sum      [sha256.Size]byte // of the current one's text
	good     time.Time         // when it was last found to be right
	changed  time.Time         // when it replaced the one before
	err      error             // of the last look
	seen     os.FileInfo       // of the file, at the last look
	failures int               // looks that failed since the last good one
}

// SourceStatus tells how a catalogue is doing.
type SourceStatus struct {
	Source  string    `json:"source"`
	Targets int       `json:"targets"`
	Good    time.Time `json:"good,omitzero"`    // when it was last found to be right
	Changed time.Time `json:"changed,omitzero"` // when it last became another
	Error   string    `json:"error,omitempty"`  // of the last look at it
	LeftOut []string  `json:"leftOut,omitempty"`
	Unusual []string  `json:"unusual,omitempty"`
}

// NewSource makes a Source. It reads nothing yet.
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

// First reads a file for the first time; of an address, and of a file that was read before, it does nothing. Only
// here is a bad file an error.
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

// Start begins to look at it in the background, once, until Close.
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
					_ = s.look() // it is noted and logged
					timer.Reset(s.pause())
				case <-s.life.Done():
					return
				}
			}
		})
	})
}

// pause is the time until the next look.
func (s *Source) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.URL == "" || s.failures == 0 {
		return s.Every
	}
	return min(s.Every, firstRetry<<min(s.failures-1, 10))
}

// Close ends what Start began, and waits for it.
func (s *Source) Close() {
	s.start.Do(func() {}) // nothing begins any more
	s.stop()
	s.tasks.Wait()
}

// Current is the catalogue as it is now, or why there is none.
func (s *Source) Current() (*Catalogue, *Outcome) {
	s.mu.Lock()
	current, good, err := s.current, s.good, s.err
	s.mu.Unlock()
	switch {
	case current == nil && err == nil:
		return nil, noCatalogue.With("the catalogue %s has not come yet", s.location())
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

// look reads the catalogue once and keeps what is good.
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
		s.Logger.Info("the endpoint catalogue was read", "catalogue", s.location(), "targets", s.current.Size())
	}
	if read != nil {
		s.warn(read)
	}
	return nil
}

// unchanged notes that a file is as it was.
func (s *Source) unchanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.good = s.Now()
	}
}

// is says whether a text is that of the current catalogue.
func (s *Source) is(sum [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && s.sum == sum
}

// failed notes a look that brought nothing good. It wants s.mu held.
func (s *Source) failed(err error) {
	news := s.err == nil || s.err.Error() != err.Error()
	s.err = err
	s.failures++
	switch {
	case !news && s.File != "":
	case s.current == nil:
		s.Logger.Error("the endpoint catalogue cannot be used, and there is none from before: the fault is the proxy's; mend it",
			"catalogue", s.location(), "fault", FaultProxy, "error", err)
	default:
		s.Logger.Warn("the endpoint catalogue cannot be used; the last good one goes on: mend it",
			"catalogue", s.location(), "fault", FaultProxy, "error", err, "good", s.good)
	}
}

// maxWarned is how many entries of a catalogue are warned of by name.
const maxWarned = 20

// warn tells of entries that are not as they should be.
func (s *Source) warn(read *Catalogue) {
	for said, entries := range map[string][]string{
		"entries of the endpoint catalogue are left out":                              read.LeftOut(),
		"entries of the endpoint catalogue have names that break the rules for names": read.Unusual(),
	} {
		if len(entries) > 0 {
			s.Logger.Warn(said, "catalogue", s.location(), "count", len(entries), "entries", entries[:min(len(entries), maxWarned)])
		}
	}
}

// errSame is that a file has not changed since the last look.
var errSame = errors.New("the file has not changed")

// read gets the catalogue's text, bounded in size and time.
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
		err = fmt.Errorf("the answer is %d, not 200", response.StatusCode)
	}
	return text, nil, err
}

// readFile reads a file unless it is as it was at the last look.
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
		return nil, nil, errors.New("it is not a regular file")
	}
	file, err := os.Open(s.File)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCatalogue+1))
	if err == nil && len(text) > maxCatalogue {
		err = fmt.Errorf("it has more than %d bytes", maxCatalogue)
	}
	return text, info, err
}

// Status tells how the catalogue is doing.
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
