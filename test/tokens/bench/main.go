// Command bench measures the token service and the bearer check from outside and prints ratios: the built binary
// against Node's oidc-provider on the same assertions, and a route that asks for a token against Caddy's own
// respond. Run it from the repository's root, after `make ensure`:
//
//	go run ./test/tokens/bench
//
// What is compared takes turns (A B B A …), every figure is the median over the rounds, and a ratio is the median of
// the rounds' own ratios, so that what else the machine does is as unkind to all. The gateway's jti are durable
// before a token is answered (store badger), and each token is a line in its log; oidc-provider keeps its own in
// memory and writes a line too. Nothing here fails because it is slow: the targets stand beside the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

const (
	clientID = "bench"
	kid      = "bench-INT-1"
)

// bench is one run.
type bench struct {
	dir, caddy       string
	rounds, requests int
	signer           *jwks.Signer
	gateway, rival   *server
	audience         string // the same for both
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{}
	flag.IntVar(&b.rounds, "rounds", 5, "how often everything that is compared takes its turn")
	flag.IntVar(&b.requests, "requests", 1500, "tokens of one round; requests to a route are eight times as many")
	flag.StringVar(&b.caddy, "caddy", "", "the binary to measure; without it ./cmd/caddy is built")
	flag.Parse()
	if b.dir, err = os.MkdirTemp("", "countersign-token-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.start(ctx); err != nil {
		return err
	}
	defer b.rival.stop()
	defer b.gateway.stop()
	if err := b.tokens(); err != nil {
		return err
	}
	return b.routes()
}

// start makes a key and starts both servers.
func (b *bench) start(ctx context.Context) error {
	private, err := jwks.GenerateRSA(4096, nil)
	if err != nil {
		return err
	}
	if b.signer, err = jwks.NewSigner(kid, private); err != nil {
		return err
	}
	set, err := b.signer.PublicSet()
	if err != nil {
		return err
	}
	keys := filepath.Join(b.dir, "jwks.json")
	if err := os.WriteFile(keys, set, 0o600); err != nil {
		return err
	}
	if b.caddy == "" {
		b.caddy = filepath.Join(b.dir, "gateway")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.caddy, "./cmd/caddy")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building ./cmd/caddy: %w", err)
		}
	}
	ports := make([]int, 2)
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return err
		}
	}
	b.audience = fmt.Sprintf("http://localhost:%d/token", ports[1])
	config := filepath.Join(b.dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(b.caddyfile(ports[0], keys)), 0o600); err != nil {
		return err
	}
	if b.gateway, err = launch(ctx, b.dir, ports[0], b.caddy, "run", "--adapter", "caddyfile", "--config", config); err != nil {
		return err
	}
	b.rival, err = launch(ctx, b.dir, ports[1], "node", "test/tokens/bench/oidc.mjs", fmt.Sprint(ports[1]), clientID, keys)
	return err
}

func (b *bench) caddyfile(port int, keys string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	default_bind 127.0.0.1
	countersign {
		environment int
		store badger
		client %s {
			jwks %s
			products booking
		}
		product booking {
			scopes urn:nhsd:apim:app:level3:booking-and-referral
		}
	}
}
http://:%d {
	handle /token {
		apim_token {
			public_url %s
		}
	}
	handle /checked {
		apim_bearer {
			scope urn:nhsd:apim:app:level3:booking-and-referral
		}
		respond "hello"
	}
	handle /plain {
		respond "hello"
	}
}
`, clientID, keys, port, strings.TrimSuffix(b.audience, "/token"))
}

// assertions makes requests for tokens, each with an assertion of its own, on all cores.
func (b *bench) assertions(n int) ([][]byte, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(b.audience, "http://"), "/token") // oidc-provider looks at it
	requests := make([][]byte, n)
	failures := make([]error, runtime.NumCPU())
	var all sync.WaitGroup
	for worker := range failures {
		all.Go(func() {
			for i := worker; i < n; i += len(failures) {
				assertion, err := oauth.NewAssertion(b.signer, clientID, b.audience, time.Now())
				if err != nil {
					failures[worker] = err
					return
				}
				body := url.Values{
					"grant_type": {"client_credentials"}, "client_assertion": {assertion},
					"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
				}.Encode()
				requests[i] = fmt.Appendf(nil, "POST /token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", host, len(body), body)
			}
		})
	}
	all.Wait()
	return requests, errors.Join(failures...)
}

// tokens compares the token services, round by round on the same assertions.
func (b *bench) tokens() error {
	type figures struct{ spent, rate []float64 }
	ours, theirs := &figures{}, &figures{}
	for round := range b.rounds + 1 { // the first warms up
		requests, err := b.assertions(b.requests)
		if err != nil {
			return err
		}
		turns := []struct {
			*server
			*figures
		}{{b.gateway, ours}, {b.rival, theirs}}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			before, err := turn.cpu()
			if err != nil {
				return err
			}
			came, err := load{address: turn.address, requests: requests, clients: 64}.send()
			if err != nil {
				return fmt.Errorf("tokens of %s: %w", filepath.Base(turn.command.Path), err)
			}
			after, err := turn.cpu()
			if err != nil {
				return err
			}
			if round > 0 {
				turn.spent = append(turn.spent, float64((after-before).Microseconds())/float64(len(requests)))
				turn.rate = append(turn.rate, came.perSecond)
			}
		}
	}
	fmt.Fprintf(os.Stdout, "CPU per token, µs      gateway %7.0f   oidc-provider %7.0f   ratio %5.2f (target ≤ 0.5)\n",
		median(ours.spent), median(theirs.spent), medianRatio(ours.spent, theirs.spent))
	fmt.Fprintf(os.Stdout, "tokens a second        gateway %7.0f   oidc-provider %7.0f   ratio %5.2f (target ≥ 2)\n",
		median(ours.rate), median(theirs.rate), medianRatio(ours.rate, theirs.rate))
	return nil
}

// routes compares a route that asks for a token with one that does not.
func (b *bench) routes() error {
	source, err := oauth.NewSource(oauth.SourceOptions{
		TokenURL: "http://" + b.gateway.address + "/token", Audience: b.audience, ClientID: clientID,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return []*jwks.Signer{b.signer}, nil },
	})
	if err != nil {
		return err
	}
	token, err := source.Token(context.Background())
	if err != nil {
		return err
	}
	repeat := func(path string, n int) [][]byte {
		request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
		return slices.Repeat([][]byte{request}, n)
	}
	var rates, late [2][]float64
	for round := range b.rounds + 1 {
		order := []int{0, 1}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			path := []string{"/checked", "/plain"}[i]
			closed, err := load{address: b.gateway.address, requests: repeat(path, 8*b.requests), clients: 16}.send()
			if err != nil {
				return err
			}
			open, err := load{address: b.gateway.address, requests: repeat(path, 3000), clients: 64, rate: 1000}.send()
			if err != nil {
				return err
			}
			if round > 0 {
				rates[i] = append(rates[i], closed.perSecond)
				late[i] = append(late[i], float64(open.p99.Microseconds())/1000)
			}
		}
	}
	over := make([]float64, len(late[0]))
	for i := range over {
		over[i] = late[0][i] - late[1][i]
	}
	fmt.Fprintf(os.Stdout, "requests a second      checked %7.0f   respond       %7.0f   ratio %5.2f (target ≥ 0.7)\n",
		median(rates[0]), median(rates[1]), medianRatio(rates[0], rates[1]))
	fmt.Fprintf(os.Stdout, "p99 at 1,000/s, ms     checked %7.2f   respond       %7.2f   over  %5.2f (target ≤ 3)\n",
		median(late[0]), median(late[1]), median(over))
	return nil
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func medianRatio(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}
