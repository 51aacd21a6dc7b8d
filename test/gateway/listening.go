package gateway

import (
	"fmt"
	"os"
	"strings"
)

// listensOnce says which port is listened on by two configurations.
func (g *Gateway) listensOnce() error {
	for name, port := range g.ports {
		if err := oneListener(port); err != nil {
			return fmt.Errorf("port %s: %w", name, err)
		}
	}
	return nil
}

// oneListener says if two sockets of one address listen on a port. A reload is answered when Caddy has told the servers
// of the old configuration to close, which they may yet have to do (SO_REUSEPORT gives them a share of the connections
// until then, and those that they have not accepted are reset).
func oneListener(port int) error {
	seen := map[string]string{} // inodes, by address: the tables may show a socket twice while others come and go
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 9 && fields[3] == "0A" && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
				if inode := seen[fields[1]]; inode != "" && inode != fields[9] {
					return fmt.Errorf("a listener of another configuration is still open at %s", fields[1])
				}
				seen[fields[1]] = fields[9]
			}
		}
	}
	return nil
}
