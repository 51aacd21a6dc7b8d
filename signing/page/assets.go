package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var files embed.FS

// mediaTypes are named here because a machine's own table (mime.types, the Windows registry) may differ, and
// with nosniff a module of the wrong type does not run.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

type asset struct {
	name, mediaType, etag string
	content               []byte
}

// Assets serves what the shell refers to below <base>/page/. Only the last element of the path is read, so it
// does not matter whether the caller has stripped its prefix. A browser keeps the files but asks each time
// whether they still hold (strong ETag, no-cache), so a page never runs with the script of another version.
func Assets() http.Handler {
	assets := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		a, ok := assets[path.Base(r.URL.Path)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h.Set("Content-Type", a.mediaType)
		h.Set("ETag", a.etag)
		h.Set("Cache-Control", "no-cache")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// An icon opened by itself is a document: it gets to run nothing.
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
	})
}

// load reads the embedded files. It panics where one cannot be served, which only a change to this package can
// bring about, and its tests would say so.
func load() map[string]asset {
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err)
	}
	assets := make(map[string]asset, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		content, err := fs.ReadFile(files, "assets/"+name)
		if err != nil {
			panic(err)
		}
		mediaType, ok := mediaTypes[path.Ext(name)]
		if !ok {
			panic("page: no media type for " + name)
		}
		sum := sha256.Sum256(content)
		etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`
		assets[name] = asset{name: name, mediaType: mediaType, etag: etag, content: content}
	}
	return assets
}
