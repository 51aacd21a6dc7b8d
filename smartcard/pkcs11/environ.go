package pkcs11

import (
	"os"
	"slices"
	"strings"
)

// What a module may need from the environment: its configuration, its reader daemon and its language.
var (
	moduleVariables = []string{"PATH", "HOME", "USER", "LANG", "LANGUAGE", "TMPDIR", "SOFTHSM2_CONF", "OPENSC_CONF", "PCSCLITE_CSOCK_NAME"}
	modulePrefixes  = []string{"LC_", "XDG_"}
	desktop         = []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "TERM", "GPG_TTY", "PINENTRY_USER_DATA"}
)

// Environ returns the part of this process's environment a module gets: a short list, and the variables named. The
// rest may hold the gateway's secrets, which a vendor's library must not see.
func Environ(more ...string) []string {
	return pick(slices.Concat(moduleVariables, more))
}

// DesktopEnviron returns the part a pinentry program gets: a module's, and what leads to the person's desktop or
// terminal.
func DesktopEnviron() []string {
	return pick(slices.Concat(moduleVariables, desktop))
}

func pick(names []string) []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !slices.Contains(names, name) && !slices.ContainsFunc(modulePrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}
