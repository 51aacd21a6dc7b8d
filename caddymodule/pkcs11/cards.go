//go:build (linux || darwin) && (amd64 || arm64)

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/command"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11"
)

func init() {
	caddy.RegisterModule(&cardsCommand{})
}

// cardsCommand shows what is in the readers.
type cardsCommand struct {
	module string
	env    []string
}

// CaddyModule returns the module's information for Caddy.
func (*cardsCommand) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.commands.cards", New: func() caddy.Module { return new(cardsCommand) }}
}

// Command returns the command.
func (c *cardsCommand) Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cards",
		Short: "Shows readers, cards and certificates, and which can sign for whom",
		Long: `
Shows every reader that a PKCS#11 module sees, the card in it and the card's certificates, and says for whom each
can sign, or why it cannot. It asks for no PIN and changes nothing. It does not check who issued a certificate or
whether it was revoked: the gateway does.`,
		Example: "  caddy countersign cards --module /usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&c.module, "module", "", "the vendor's library, as a `path`; default: OpenSC's, from the system's usual place")
	cmd.Flags().StringSliceVar(&c.env, "env", nil, "`names` of environment variables that the module needs in addition to the usual ones")
	return cmd
}

// found is the command's answer.
type found struct {
	Path    string          `json:"path"`
	Module  string          `json:"module"`
	Readers []pkcs11.Reader `json:"readers"`
}

// Run looks into the readers.
func (c *cardsCommand) Run(ctx context.Context, _ io.Writer, _ []string) (command.Answer, error) {
	none := command.Answer{}
	path, err := c.path()
	if err != nil {
		return none, err
	}
	program, err := self()
	if err != nil {
		return none, err
	}
	agent, err := pkcs11.New(pkcs11.Options{Module: path, Child: program, Env: pkcs11.Environ(c.env...)})
	if err != nil {
		return none, err
	}
	defer agent.Close()
	readers, err := agent.Readers(ctx)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	about, err := agent.About(ctx)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	answer := found{Path: path, Module: about, Readers: readers}
	return command.Answer{Value: answer, Text: answer.text}, nil
}

// path returns the module to load: the one named, or OpenSC's.
func (c *cardsCommand) path() (string, error) {
	if c.module != "" {
		return filepath.Abs(c.module)
	}
	for _, pattern := range []string{
		"/usr/lib/*-linux-gnu/opensc-pkcs11.so", "/usr/lib64/opensc-pkcs11.so", "/usr/lib64/pkcs11/opensc-pkcs11.so",
		"/usr/lib/opensc-pkcs11.so", "/usr/local/lib/opensc-pkcs11.so", "/Library/OpenSC/lib/opensc-pkcs11.so",
		"/opt/homebrew/lib/opensc-pkcs11.so",
	} {
		if matches, err := filepath.Glob(pattern); err == nil && len(matches) > 0 {
			if _, err := os.Stat(matches[0]); err == nil {
				return matches[0], nil
			}
		}
	}
	return "", errors.New("OpenSC's module is not in any of the usual places: name the library of your card's vendor with --module")
}

func (f found) text(w io.Writer) error {
	fmt.Fprintf(w, "%s (%s)\n", f.Module, f.Path)
	if len(f.Readers) == 0 {
		fmt.Fprintln(w, "No reader. Is it plugged in, and does pcscd run?")
	}
	for _, r := range f.Readers {
		fmt.Fprintf(w, "\nReader %q\n", r.Name)
		switch {
		case r.Trouble != "":
			fmt.Fprintf(w, "  the card cannot be read: %s\n", r.Trouble)
		case r.Card == nil:
			fmt.Fprintln(w, "  no card")
		default:
			describe(w, r.Card)
		}
	}
	return nil
}

func describe(w io.Writer, card *pkcs11.Card) {
	fmt.Fprintf(w, "  Card %q, serial number %q, %q: %s\n", card.Label, card.Serial,
		strings.TrimSpace(card.Manufacturer+" "+card.Model), strings.Join(card.Algorithms, " "))
	if card.PINPad {
		fmt.Fprintln(w, "  the PIN is entered at the reader")
	}
	for _, warning := range card.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", warning)
	}
	for _, reason := range card.Against {
		fmt.Fprintf(w, "  cannot sign: %s\n", reason)
	}
	if len(card.Certificates) == 0 {
		fmt.Fprintln(w, "  no certificate visible without a PIN")
	}
	for _, c := range card.Certificates {
		verdict := "signs for " + fmt.Sprintf("%q", c.User)
		if len(card.Against) > 0 {
			verdict = "would sign for " + fmt.Sprintf("%q", c.User)
		}
		if len(c.Against) > 0 {
			verdict = "does not sign: " + strings.Join(c.Against, "; ")
		}
		fmt.Fprintf(w, "  Certificate %q\n    issued by %q, valid %s to %s, RSA %d\n    %s\n", c.Subject, c.Issuer,
			c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly), c.Bits, verdict)
		for _, warning := range c.Warnings {
			fmt.Fprintf(w, "    warning: %s\n", warning)
		}
	}
}

var _ command.Guest = (*cardsCommand)(nil)
