// Package systemd reads from unit files how systemd starts a service: its command, its environment, its user and its
// directories. Commands that work on a gateway's files while it is stopped find them by it.
//
//	unit.go        finds a unit and its drop-ins, and answers what it says
//	parse.go       the syntax of unit files: lines, lists that are reset, quoted words
//	specifiers.go  %S, %E and their like
//
// It reads files and asks no running systemd, so it works in a rescue system as well. It knows the settings above for
// the system's own manager (see systemd.unit(5), systemd.exec(5)) and no others, and never changes anything.
package systemd
