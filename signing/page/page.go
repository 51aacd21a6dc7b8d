// Package page is the signing page: the one page a clinician sees. It holds the shell (an HTML document with
// nothing of any request in it), the stylesheet and the script, all embedded, and the policy that confines them.
//
// It knows no session, reads no request but for an asset's name, and writes no security header but the ones on
// its own assets: what is asked, by whom and for whom reaches the page as JSON, from the service that serves it.
//
//	GET <base>/client      Render, by the service, with CSP and its other headers
//	GET <base>/page/*      Assets
//
// The script's states are written out at the head of assets/app.js.
package page

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

// Data is what the shell says before the script has asked anything.
type Data struct {
	// CSRF is the value that the script sends back in X-CSRF-Token with every POST.
	CSRF string
	// Local says that the page may drive an agent on the person's own machine.
	Local bool
	// Environment is "sandbox", "int" or "prod". All but "prod" carry the test banner, an unknown one as well.
	Environment string
}

//go:embed shell.html
var shell string

var document = template.Must(template.New("shell").Parse(shell))

// Render writes the shell. Every address in it is relative to <base>/, so it works below any base path.
func Render(w io.Writer, data Data) error {
	return document.Execute(w, data)
}

// Test tells whether the banner is shown.
func (d Data) Test() bool { return d.Environment != "prod" }

// Place is the environment's name in a sentence.
func (d Data) Place() string {
	switch d.Environment {
	case "sandbox":
		return "sandbox"
	case "int":
		return "integration"
	}
	return "test"
}

// CSP is the value of the Content-Security-Policy that the shell must be served with: own scripts and styles
// from files only, no way to turn text into markup (Trusted Types), no frames, no forms, no plug-ins. It speaks to its
// own service alone, and to this machine where its agent may be there, on a port that only the agent knows.
func (d Data) CSP() string {
	connect := "connect-src 'self'"
	if d.Local {
		connect += " http://localhost:*"
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		connect,
		"img-src 'self'", // the tab's icon
		"form-action 'none'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
}
