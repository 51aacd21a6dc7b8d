package demo

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/seed-dd2befc3/countersign/client"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets
var assetFiles embed.FS

// pages holds the demo's pages, each with the common frame.
type pages struct {
	index, waiting, result, problem, webhooks *template.Template
}

func parsePages() (p pages, err error) {
	for name, into := range map[string]**template.Template{
		"index.html": &p.index, "waiting.html": &p.waiting, "result.html": &p.result, "problem.html": &p.problem, "webhooks.html": &p.webhooks,
	} {
		if *into, err = template.ParseFS(templates, "templates/frame.html", "templates/"+name); err != nil {
			return pages{}, err
		}
	}
	return p, nil
}

// view is the data of a page.
type view struct {
	Name  string // of the demo
	Title string // of the page, and its heading
	Body  any    // orderForm, result, problem or []told
}

// show sends a page. The page is rendered completely before the status is sent.
func (d *Demo) show(w http.ResponseWriter, status int, page *template.Template, title string, body any) {
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, "frame", view{d.options.Name, title, body}); err != nil {
		d.log.Error("the demo's page cannot be made", "error", err)
		http.Error(w, "The page cannot be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

// problem is the body of an error page.
type problem struct {
	Text    string
	Reason  string        // the service's reason code, from the way back
	Service *client.Error // the service's answer, if it gave one
}

func (d *Demo) showProblem(w http.ResponseWriter, status int, title string, body problem) {
	d.show(w, status, d.pages.problem, title, body)
}

// secure sets what every answer carries.
//
// form-action is left out on purpose: Chromium applies it to where a form's answer redirects to as well, and
// that is the signing page, whose origin the demo learns only from the service's answer.
//
// The referrer goes to the demo itself only: with no-referrer a browser would send its form with
// "Origin: null", and where it sends no Sec-Fetch-Site (plain http) that could not be told from a forgery.
// The page that has a token in its address sets no-referrer.
func secure(h http.Header) {
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func assets() http.Handler {
	files := http.FileServerFS(assetFiles)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		if !strings.HasSuffix(r.URL.Path, ".css") && !strings.HasSuffix(r.URL.Path, ".svg") {
			http.NotFound(w, r) // no listing
			return
		}
		files.ServeHTTP(w, r)
	})
}

// toIndex redirects to the first page, wherever the demo is mounted.
func toIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "./")
	w.WriteHeader(http.StatusSeeOther)
}
