package pkcs11

import (
	"os"
	"slices"
	"strings"
)

// What a module may need of the environment: where it finds its configuration, its reader daemon and its language.
var (
	moduleVariables = []string{"PATH", "HOME", "USER", "LANG", "LANGUAGE", "TMPDIR", "SOFTHSM2_CONF", "OPENSC_CONF", "PCSCLITE_CSOCK_NAME"}
	modulePrefixes  = []string{"LC_", "XDG_"}
	desktop         = []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "TERM", "GPG_TTY", "PINENTRY_USER_DATA"}
)

// Environ is the part of this process's environment that a module gets: a short list, and the variables named. The
// rest may hold a gateway's secrets, and a vendor's library has no business with those.
func Environ(more ...string) []string {
	return pick(slices.Concat(moduleVariables, more))
}

// DesktopEnviron is the part that a pinentry program gets: that of a module, and what leads to the person's desktop
// or terminal.
func DesktopEnviron() []string {
	return pick(slices.Concat(moduleVariables, desktop))
}

func pick(names []string) []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !slices.Contains(names, name) && !slices.ContainsFunc(modulePrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}
