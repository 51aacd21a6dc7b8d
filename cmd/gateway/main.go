// Command gateway reads xcaddy.toml and prints the xcaddy command that builds a gateway from it, or runs it.
//
//	go run ./cmd/gateway                      print the command for the default plugins
//	go run ./cmd/gateway -with mock           … and the plugin called mock
//	go run ./cmd/gateway -local               … from this checkout instead of the published module
//	go run ./cmd/gateway -build               run it
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
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	file := flags.String("manifest", "xcaddy.toml", "the manifest to read")
	with := flags.String("with", "", "names of further plugins, separated by commas")
	local := flags.Bool("local", false, "build from this checkout instead of the published module")
	build := flags.Bool("build", false, "run the command instead of printing it")
	output := flags.String("output", "", "where the binary goes; the manifest's output by default")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil // the help was printed
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood; plugins are named with -with", flags.Arg(0))
	}
	manifest, err := readManifest(*file)
	if err != nil {
		return err
	}
	if *output != "" {
		manifest.Output = *output
	}
	command, err := manifest.command(names(*with), *local)
	if err != nil {
		return err
	}
	if !*build {
		_, err := fmt.Fprintln(out, command)
		return err
	}
	return command.run(ctx)
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// run runs xcaddy, which is installed by the command that the error names where it is missing.
func (c command) run(ctx context.Context) error {
	xcaddy, err := exec.LookPath(c.args[0])
	if err != nil {
		return errors.Join(err, fmt.Errorf("install it with: go install github.com/caddyserver/xcaddy/cmd/xcaddy@%s", c.xcaddy))
	}
	cmd := exec.CommandContext(ctx, xcaddy, c.args[1:]...) //nolint:gosec // that is what it is for
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
