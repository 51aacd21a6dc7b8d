package command

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// table aligns columns. What it is given may come from anywhere, so nothing reaches the terminal that would do
// more than be read.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)} }

func (t table) row(cells ...string) {
	for i := range cells {
		cells[i] = shown(cells[i])
	}
	fmt.Fprintln(t.Writer, strings.Join(cells, "\t"))
}

// end prints what was added, and an empty line.
func (t table) end() {
	_ = t.Flush() // a writer that fails does so again when the last line is printed
	fmt.Fprintln(t.Writer)
}

// counted is a number of things, of which each has this name.
func counted(n int, name string) string {
	if n != 1 {
		name += "s"
	}
	return fmt.Sprintf("%d %s", n, name)
}

// shown is a text as a terminal may get it.
func shown(text string) string {
	quoted := strconv.QuoteToGraphic(text)
	if quoted[1:len(quoted)-1] == strings.ReplaceAll(text, `"`, `\"`) {
		return text
	}
	return quoted
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func second(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
