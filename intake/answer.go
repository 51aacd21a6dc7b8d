package intake

import (
	"io"
	"net/http"
)

// answer is a guarded handler's ResponseWriter.
type answer struct {
	http.ResponseWriter
	of *exchange
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.of.begin(status)
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(data []byte) (int, error) {
	a.of.begin(http.StatusOK)
	return a.ResponseWriter.Write(data)
}

// ReadFrom passes io.ReaderFrom through, so that a file still goes straight to the connection (sendfile).
func (a *answer) ReadFrom(from io.Reader) (int64, error) {
	a.of.begin(http.StatusOK)
	if direct, ok := a.ResponseWriter.(io.ReaderFrom); ok {
		return direct.ReadFrom(from)
	}
	return io.Copy(a.ResponseWriter, from)
}

// FlushError implements the method that http.ResponseController looks for.
func (a *answer) FlushError() error {
	a.of.begin(http.StatusOK)
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the wrapped ResponseWriter.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
