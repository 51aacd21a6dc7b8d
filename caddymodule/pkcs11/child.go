//go:build (linux || darwin) && (amd64 || arm64)

package pkcs11

import (
	"context"
	"io"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/command"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/child"
)

const childName = "pkcs11-child"

func init() {
	caddy.RegisterModule(&childCommand{})
}

// childCommand is the process that loads a vendor's module. It is not for people.
type childCommand struct{}

// CaddyModule returns the module's information for Caddy.
func (*childCommand) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.commands.pkcs11_child", New: func() caddy.Module { return new(childCommand) }}
}

// Command returns the command.
func (*childCommand) Command() *cobra.Command {
	return &cobra.Command{
		Use: childName + " <module>", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "Loads a PKCS#11 module for a smartcard agent",
		Long:  "Loads a PKCS#11 module for a smartcard agent, which starts this command and talks to it over standard input and output.",
	}
}

// Run serves the agent until it closes standard input.
func (*childCommand) Run(_ context.Context, _ io.Writer, args []string) (command.Answer, error) {
	return command.Answer{}, child.Main(args[0])
}

var _ command.Guest = (*childCommand)(nil)
