package intake

import (
	"context"
	"net/http"
	"strings"
	"time"
)

const (
	smallRest = 256 << 10 // bytes that are read before the answer, to save the connection; as many as net/http would
	maxRest   = 8 << 20   // bytes that are dropped after the answer
	restTime  = 5 * time.Second
)

// Handler answers a request, or returns an error for its caller to answer.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Guard has handle answer the request, and afterwards leaves the connection at the end of the request's body or closed.
// A handler that hands the request on to code that may still read the body says so by PassOn. Guards may be nested.
func Guard(w http.ResponseWriter, r *http.Request, handle Handler) error {
	return guard(w, r, restTime, handle)
}

// Serve is Guard for a handler that answers by itself.
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

// PassOn says that what answers the request from now on is not the guarded handler, so that the guard leaves the body
// alone until the handler returns.
func PassOn(r *http.Request) {
	if e := exchangeOf(r); e != nil {
		e.passed = true
	}
}

// TakeBack says that what the request was passed on to has not answered it, and the guarded handler does.
func TakeBack(r *http.Request) {
	if e := exchangeOf(r); e != nil {
		e.passed = false
	}
}

// exchangeKey is the context's key of an *exchange.
type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	e, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return e
}

// exchange is one request on HTTP/1 that has a body, and its answer.
type exchange struct {
	w       http.ResponseWriter // below the guard
	body    body
	length  int64         // that the body is declared to have; -1: it comes in chunks
	expects bool          // the caller may wait for 100 Continue before it sends the body
	rest    time.Duration // for what the caller still sends
	passed  bool          // others may be reading the body
	begun   bool          // the answer's header is written
	closing bool          // the connection closes after the answer
	over    bool          // nothing is left to do
}

// begin is called before the header of the final answer is written, the last moment at which it can say that the
// connection closes.
func (e *exchange) begin(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols { // perhaps of another goroutine: see httptrace
		return
	}
	if e.begun {
		return
	}
	e.begun = true
	if status == http.StatusSwitchingProtocols { // what follows is no HTTP
		e.over = true
		return
	}
	small := e.length >= 0 && e.length-e.body.taken.Load() <= smallRest
	if small && e.ours() && !strings.EqualFold(e.w.Header().Get("Connection"), "close") && e.body.idle() {
		e.drop(smallRest)
	}
	e.closing = e.close()
}

// end is called when the handler of a guard has returned, the innermost first.
func (e *exchange) end() {
	switch {
	case e.over:
		return
	case e.begun:
		if e.closing {
			_ = http.NewResponseController(e.w).Flush()
			e.drop(maxRest)
		}
	case e.passed: // an error route answers, and may read the body
		e.close()
		return
	default: // an error route answers, after which there is no moment to drop the rest
		if e.ours() {
			e.drop(maxRest)
		}
		e.close()
	}
	e.over = true
	if !e.body.ended.Load() { // net/http is not to wait for more of it either
		_ = http.NewResponseController(e.w).SetReadDeadline(time.Unix(1, 0))
	}
}

// ours says whether the guard may read the body before the answer: nobody else is going to, and reading neither fails
// nor asks a caller that waits for leave to send all of it.
func (e *exchange) ours() bool {
	return !e.passed && !e.body.failed.Load() && (!e.expects || e.body.begun.Load())
}

// close has the answer close the connection, unless the body is at its end.
func (e *exchange) close() bool {
	if e.body.ended.Load() {
		return false
	}
	e.w.Header().Set("Connection", "close")
	return true
}

// drop reads the rest of the body, up to a number of bytes, and forgets it.
func (e *exchange) drop(most int64) {
	control := http.NewResponseController(e.w)
	_ = control.SetReadDeadline(time.Now().Add(e.rest)) // a server that cannot has a deadline of its own
	e.body.drop(most)
	if e.body.ended.Load() {
		_ = control.SetReadDeadline(time.Time{})
	}
}
