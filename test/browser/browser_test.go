// Package browser_test holds the proofs in a real browser: headless Chromium on the signing page and the demo.
//
//	page_*_test.go      the page alone, over a fake service of the same wire: what a real one does too seldom
//	journey_*_test.go   the built binary, from the demo's button to its verified signatures, and everything
//	                    that depends on a browser: cookies between sites, frames, prefetching, two browsers
//
// Every tab that a test opens is watched: an uncaught exception, a console error or a violation of the content
// security policy fails the test that caused it. BROWSER_SHOTS=<folder> keeps a picture of each look.
package browser_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for something to show. It is long because the machine may be busy; a test
// that passes never waits for it.
const patience = 2 * time.Minute

// chrome is the one browser process of this test binary; every test gets cookies of its own in it.
var chrome context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var quit func()
	var err error
	if chrome, quit, err = startChrome(); err != nil {
		fmt.Fprintln(os.Stderr, "Chromium does not start (Debian: apt-get install chromium; or run `make test`):", err)
		return 1
	}
	defer quit()
	return m.Run()
}

// startChrome starts a browser process.
func startChrome(more ...chromedp.ExecAllocatorOption) (ctx context.Context, quit func(), err error) {
	profile, err := os.MkdirTemp("", "countersign-browser-")
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.UserDataDir(profile),
		chromedp.NoSandbox, // the tests may run as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(patience),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, leave := chromedp.NewContext(allocator)
	quit = func() {
		leave()
		stop()
		_ = os.RemoveAll(profile)
	}
	if err := chromedp.Do(ctx); err != nil {
		quit()
		return nil, nil, err
	}
	return ctx, quit, nil
}

// newChrome is a browser process of a test's own, with flags of its own.
func newChrome(t *testing.T, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	ctx, quit, err := startChrome(flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(quit)
	return ctx
}

// tab is one tab of a browser, watched for errors.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu        sync.Mutex
	faults    []string
	expecting []string // parts of faults that the test provokes
	provoked  []string
}

// newBrowser opens a tab in a browser of its own: no cookie of any other.
func newBrowser(t *testing.T) *tab {
	t.Helper()
	return open(chrome, t, chromedp.WithNewBrowserContext())
}

// newTab opens another tab of the same browser.
func (b *tab) newTab() *tab {
	b.t.Helper()
	return open(b.ctx, b.t)
}

func open(parent context.Context, t *testing.T, options ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(b.watch))...)
	b.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			b.shot("failed-" + strings.ReplaceAll(t.Name(), "/", "-"))
		}
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Errorf("the browser complained: %s", fault)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context of its first use
		t.Fatal(err)
	}
	b.viewport(1200, 900)
	return b
}

// watch keeps what the page or the browser complains of. That an address answered with an error is no
// complaint: the tests of refusals live on it.
func (b *tab) watch(event any) {
	var fault string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			fault += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type != "error" && e.Type != "warning" {
			return
		}
		fault = fmt.Sprintf("console %s: %v", e.Type, e.Args)
	case *log.EventEntryAdded:
		if e.Entry.Level != "error" || e.Entry.Source == "network" {
			return
		}
		fault = fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text)
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, part := range b.expecting {
		if strings.Contains(fault, part) {
			b.provoked = append(b.provoked, fault)
			return
		}
	}
	b.faults = append(b.faults, fault)
}

// expectFault lets complaints pass that hold the given text.
func (b *tab) expectFault(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expecting = append(b.expecting, part)
}

// excused are the faults that the test provoked.
func (b *tab) excused() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.provoked)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := b.try(steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) try(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

func (b *tab) goTo(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address))
}

// eval is the value of a JavaScript expression in the page; a promise is waited for.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := tryEval[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func tryEval[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (b *tab) viewport(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// forcedColours switches on what Windows calls a contrast theme.
func (b *tab) forcedColours() {
	b.t.Helper()
	b.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}, //nolint:misspell // CSS's own spelling
		})
		return chromedp.Void{}, err
	})
}

// dark shows the page to a person who has their screen dark, or not any more.
func (b *tab) dark(on bool) {
	b.t.Helper()
	value := map[bool]string{true: "dark", false: "light"}[on]
	b.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}, //nolint:misspell // CSS's own spelling
		})
		return chromedp.Void{}, err
	})
}

// print shows the page as it is on paper.
func (b *tab) print() {
	b.t.Helper()
	b.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		return chromedp.Void{}, err
	})
}

func (b *tab) withoutJavaScript() {
	b.t.Helper()
	b.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
}

// paper keeps the page as it is printed, where BROWSER_SHOTS names a folder.
func (b *tab) paper(name string) {
	folder := os.Getenv("BROWSER_SHOTS")
	if folder == "" {
		return
	}
	b.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		printed, err := chromedp.Call(ctx, cdppage.PrintToPDF, cdppage.PrintToPDFParams{})
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name+".pdf"), printed.Data, 0o600)
		}
		return chromedp.Void{}, err
	})
}

// shot keeps a picture of the whole page where BROWSER_SHOTS names a folder.
func (b *tab) shot(name string) {
	folder := os.Getenv("BROWSER_SHOTS")
	if folder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), shot, 0o600)
	}
	if err != nil {
		b.t.Logf("no picture %s: %v", name, err)
	}
}
