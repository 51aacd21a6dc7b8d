package badger

import (
	"fmt"
	"log/slog"
	"strings"
)

// bridge passes on Badger's log. Badger's errors become warnings, because an error that matters is also returned. Its
// debug lines contain keys and are dropped.
type bridge struct{ log *slog.Logger }

func (b bridge) Errorf(format string, args ...any)   { b.log.Warn(line(format, args)) }
func (b bridge) Warningf(format string, args ...any) { b.log.Warn(line(format, args)) }
func (b bridge) Infof(format string, args ...any)    { b.log.Debug(line(format, args)) }
func (b bridge) Debugf(string, ...any)               {}

func line(format string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
}
