package intake

import (
	"context"
	"net/http"
	"strings"
	"time"
)

const (
	smallRest = 256 << 10 // bytes read before the answer to keep the connection; net/http reads as many
	maxRest   = 8 << 20   // bytes dropped after the answer
	restTime  = 5 * time.Second
)

// Handler answers a request, or returns an error for its caller to answer.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Guard calls handle to answer the request. Afterwards the request's body is consumed or the connection is closed. A
// handler that passes the request on to code that may still read the body must call PassOn. Guards may be nested.
func Guard(w http.ResponseWriter, r *http.Request, handle Handler) error {
	return guard(w, r, restTime, handle)
}

// Serve is Guard for an http.Handler.
func Serve(w http.ResponseWriter, r *http.Request, handler http.Handler) error {
	return Guard(w, r, func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	})
}

func guard(w http.ResponseWriter, r *http.Request, rest time.Duration, handle Handler) error {
	if r.ProtoMajor != 1 || r.Body == nil || r.ContentLength == 0 {
		return handle(w, r)
	}
	e := exchangeOf(r)
	if e == nil {
		e = &exchange{w: w, length: r.ContentLength, body: body{from: r.Body}, expects: r.Header.Get("Expect") != "", rest: rest}
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
		r.Body = &e.body
		w = &answer{w, e}
	}
	e.passed = false
	err := handle(w, r)
	e.end()
	return err
}

// PassOn says that another handler answers the request from now on. The guard leaves the body alone until the guarded
// handler returns.
func PassOn(r *http.Request) {
	if e := exchangeOf(r); e != nil {
		e.passed = true
	}
}

// TakeBack undoes PassOn: the other handler did not answer, so the guarded handler does.
func TakeBack(r *http.Request) {
	if e := exchangeOf(r); e != nil {
		e.passed = false
	}
}

// exchangeKey is the context key of an *exchange.
type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	e, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return e
}

// exchange is one HTTP/1 request with a body, and its answer.
type exchange struct {
	w       http.ResponseWriter // below the guard
	body    body
	length  int64         // the declared length of the body; -1: chunked
	expects bool          // the caller may wait for 100 Continue before it sends the body
	rest    time.Duration // how long the rest of the body may take
	passed  bool          // another handler may be reading the body
	begun   bool          // the answer's header is written
	closing bool          // the connection closes after the answer
	over    bool          // the guard is done
}

// begin is called before the final header is written, which is the last chance to announce that the connection closes.
func (e *exchange) begin(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols { // may come from another goroutine: see httptrace
		return
	}
	if e.begun {
		return
	}
	e.begun = true
	if status == http.StatusSwitchingProtocols { // what follows is not HTTP
		e.over = true
		return
	}
	small := e.length >= 0 && e.length-e.body.taken.Load() <= smallRest
	if small && e.ours() && !strings.EqualFold(e.w.Header().Get("Connection"), "close") && e.body.idle() {
		e.drop(smallRest)
	}
	e.closing = e.close()
}

// end is called when a guarded handler returns, innermost first.
func (e *exchange) end() {
	switch {
	case e.over:
		return
	case e.begun:
		if e.closing {
			_ = http.NewResponseController(e.w).Flush()
			e.drop(maxRest)
		}
	case e.passed: // an error route answers and may read the body
		e.close()
		return
	default: // an error route answers, and nothing runs after it, so drop the rest now
		if e.ours() {
			e.drop(maxRest)
		}
		e.close()
	}
	e.over = true
	if !e.body.ended.Load() { // so that net/http does not wait for the rest either
		_ = http.NewResponseController(e.w).SetReadDeadline(time.Unix(1, 0))
	}
}

// ours reports whether the guard may read the body before the answer. Not if another handler may read it, if a read has
// failed, or if reading would send 100 Continue and thereby ask for the whole body.
func (e *exchange) ours() bool {
	return !e.passed && !e.body.failed.Load() && (!e.expects || e.body.begun.Load())
}

// close announces that the connection closes, unless the body was read to its end.
func (e *exchange) close() bool {
	if e.body.ended.Load() {
		return false
	}
	e.w.Header().Set("Connection", "close")
	return true
}

// drop reads and discards up to most bytes of the body.
func (e *exchange) drop(most int64) {
	control := http.NewResponseController(e.w)
	_ = control.SetReadDeadline(time.Now().Add(e.rest)) // a server without support has its own deadline
	e.body.drop(most)
	if e.body.ended.Load() {
		_ = control.SetReadDeadline(time.Time{})
	}
}
