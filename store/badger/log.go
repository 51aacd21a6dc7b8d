package badger

import (
	"fmt"
	"log/slog"
	"strings"
)

// bridge carries what Badger logs. What it calls an error is a warning here: an error that matters comes back to
// whoever called. Its debug lines name keys, and are dropped.
type bridge struct{ log *slog.Logger }

func (b bridge) Errorf(format string, args ...any)   { b.log.Warn(line(format, args)) }
func (b bridge) Warningf(format string, args ...any) { b.log.Warn(line(format, args)) }
func (b bridge) Infof(format string, args ...any)    { b.log.Debug(line(format, args)) }
func (b bridge) Debugf(string, ...any)               {}

func line(format string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
}
