// Command bench measures the gateway from outside and prints ratios: the built binary against a naive handler in the
// same Caddy, against HAProxy, against Caddy's own respond, and one of its stores against the other. Run it from the
// repository's root:
//
//	go run ./test/bench -only request
//
// What is compared takes turns (A B A B …), every figure is the median over the rounds, and a ratio is the median of
// the rounds' own ratios, so that what else the machine does is as unkind to all. Servers and the load generator are
// processes of their own, on loopback, and share the machine's cores. Nothing here fails because it is slow: the
// targets are printed beside the figures. docs/benchmarks.md holds figures that were seen, and the other benchmarks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// bench is one run of this command.
type bench struct {
	out         io.Writer
	dir         string // for everything that is made here; gone at the end
	rounds      int
	requests    int
	seconds     int
	sessions    int
	profile     string
	against     string // the path of another build of the gateway, or nothing
	key         *key
	certificate string // of the gateway, with its key
	pool        *pool
}

// benchmarks are what -only names.
var benchmarks = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"request", (*bench).request},
	{"durable", (*bench).durable},
	{"openloop", (*bench).openLoop},
	{"memory", (*bench).memory},
	{"bars", (*bench).bars},
	{"crowd", (*bench).crowd},
	{"store", (*bench).stores},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == loadCommand {
		exit(generateLoad(os.Stdin, os.Stdout))
	}
	if len(os.Args) == 4 && os.Args[1] == crowdCommand {
		exit(beACrowd(os.Args[2], os.Args[3]))
	}
	if len(os.Args) == 5 && os.Args[1] == fillCommand {
		exit(fillStore(os.Args[2], os.Args[3], os.Args[4]))
	}
	if len(os.Args) == 4 && os.Args[1] == diaryCommand {
		exit(keepDiary(os.Args[2], os.Args[3]))
	}
	exit(run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{out: os.Stdout}
	only := flag.String("only", "", "the benchmarks to run, separated by commas: request, durable, openloop, memory, bars, crowd, store; all without it")
	flag.IntVar(&b.rounds, "rounds", 11, "how often everything that is compared takes its turn")
	flag.IntVar(&b.requests, "requests", 2000, "requests of one round, for request, durable and store")
	flag.IntVar(&b.seconds, "seconds", 2, "length of one round of the open loop")
	flag.IntVar(&b.sessions, "sessions", 40_000, "live sessions, for memory")
	flag.StringVar(&b.against, "against", "", "another build of the gateway that takes part, in openloop")
	flag.StringVar(&b.profile, "profile", "", "a directory for CPU profiles of the gateway; profiling costs some of the rate")
	flag.Parse()

	var err error
	if b.dir, err = os.MkdirTemp("", "countersign-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.key, err = newKey(filepath.Join(b.dir, "key.pem")); err != nil {
		return err
	}
	b.certificate = filepath.Join(b.dir, "certificate.pem")
	if err := newCertificate(b.certificate); err != nil {
		return err
	}
	b.pool = newPool(b.key, filepath.Join(b.dir, "pool"))
	if err := b.build(ctx); err != nil {
		return err
	}
	var names []string
	for _, benchmark := range benchmarks {
		names = append(names, benchmark.name)
		if !selected(*only, benchmark.name) {
			continue
		}
		if err := benchmark.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", benchmark.name, err)
		}
	}
	for name := range strings.SplitSeq(*only, ",") {
		if name != "" && !slices.Contains(names, name) {
			return fmt.Errorf("there is no benchmark %q", name)
		}
	}
	return nil
}

func selected(only, name string) bool {
	return only == "" || slices.Contains(strings.Split(only, ","), name)
}

// The binaries under test, built as releases are.
const (
	gatewayBinary = "bin/bench/caddy"
	naiveBinary   = "bin/bench/naive"
)

func (b *bench) build(ctx context.Context) error {
	if _, err := os.Stat("test/bench/naive"); err != nil {
		return errors.New("run it from the repository's root")
	}
	for binary, source := range map[string]string{gatewayBinary: "./cmd/caddy", naiveBinary: "./test/bench/naive"} {
		command := exec.CommandContext(ctx, "go", "build", "-o", binary, source)
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("building %s: %w", source, err)
		}
	}
	return nil
}
