package page

import (
	_ "embed"
	"html/template"
	"io"
)

// Problem is a page without a script, for a person whose browser came to an address that has nothing else for them.
type Problem struct {
	Base      string // of the service; empty: the page has no style
	Heading   string
	Text      string // what happened
	Next      string // what to do
	Reference string
	Back      string // an address of the service from which it goes on, or nothing
	BackTo    string // what the link there is called
}

//go:embed problem.html
var problemHTML string

var problemDocument = template.Must(template.New("problem").Parse(problemHTML))

// RenderProblem writes it.
func RenderProblem(w io.Writer, p Problem) error { return problemDocument.Execute(w, p) }

// ProblemCSP is the Content-Security-Policy that a Problem must be served with.
const ProblemCSP = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
