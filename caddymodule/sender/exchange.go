package sender

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/intake"
)

// maxHeldAnswer is how many bytes of a 401 are held back for inspection.
const maxHeldAnswer = 64 << 10

// readTimeout is how long an application may take to send what is kept of a request: no longer than the proxy waits.
const readTimeout = 30 * time.Second

// keptBody is a request body kept so that it can be sent twice.
type keptBody struct {
	data  []byte
	whole bool // whether all of it was kept
}

// keepBody reads a body of at most limit bytes. A larger one stays as it is. Nobody is asked here who they are: an
// application that has sent what is to be kept keeps its place.
func keepBody(place *intake.Taken, r *http.Request, limit int64) (*keptBody, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return &keptBody{whole: true}, nil
	}
	if r.ContentLength > limit {
		return &keptBody{}, nil
	}
	rest := r.Body
	data, err := place.Read(limit, readTimeout)
	large := errors.Is(err, intake.ErrTooLarge)
	if err == nil || large {
		err = place.Prove()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the request's body: %w", err)
	}
	if large {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(data), rest), rest}
		return &keptBody{}, nil
	}
	kept := &keptBody{data: data, whole: true}
	r.ContentLength, r.TransferEncoding = int64(len(data)), nil
	kept.rewind(r)
	return kept, nil
}

// rewind gives the request its body again, if all of it was kept.
func (k *keptBody) rewind(r *http.Request) bool {
	if k.whole && r.Body != nil && r.Body != http.NoBody {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(k.data)), nil }
		r.Body = io.NopCloser(bytes.NewReader(k.data))
	}
	return k.whole
}

// begins reports whether a request starts something new, so that it may get a new correlation id. An update carries
// the id of what it updates, which only the application knows (BAR-2.4). Anything not plainly new counts as an
// update.
func begins(method string, body *keptBody) bool {
	switch method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
	default:
		return false
	}
	var message struct {
		ResourceType string `json:"resourceType"`
		Entry        []struct {
			Resource struct {
				ResourceType string `json:"resourceType"`
				Reason       struct {
					Coding []struct {
						Code string `json:"code"`
					} `json:"coding"`
				} `json:"reason"`
			} `json:"resource"`
		} `json:"entry"`
	}
	if !body.whole {
		return false
	}
	if text := bytes.TrimLeft(bytes.TrimPrefix(body.data, []byte("\xef\xbb\xbf")), " \t\r\n"); bytes.HasPrefix(text, []byte("<")) {
		return beginsXML(text)
	}
	if json.Unmarshal(body.data, &message) != nil {
		return false
	}
	if message.ResourceType != "Bundle" {
		return true // a POST of a resource creates it
	}
	isNew := false
	for _, entry := range message.Entry {
		if entry.Resource.ResourceType != "MessageHeader" {
			continue
		}
		for _, coding := range entry.Resource.Reason.Coding {
			if coding.Code != "new" {
				return false
			}
			isNew = true
		}
	}
	return isNew
}

// beginsXML is begins for a POST of XML.
func beginsXML(text []byte) bool {
	read, err := bars.ReadXML(text)
	if err != nil {
		return false
	}
	if read.Root != "Bundle" {
		return true
	}
	return len(read.Reasons) > 0 && !slices.ContainsFunc(read.Reasons, func(code string) bool { return code != "new" })
}

// heldAnswer passes on every answer except a 401, which it holds back for inspection.
type heldAnswer struct {
	http.ResponseWriter
	header http.Header // of the answer, until it is passed on
	status int         // of the answer held back
	body   bytes.Buffer
	passed bool
}

// Header returns the answer's header.
func (h *heldAnswer) Header() http.Header {
	if h.passed {
		return h.ResponseWriter.Header()
	}
	return h.header
}

// WriteHeader holds back a 401.
func (h *heldAnswer) WriteHeader(status int) {
	switch {
	case h.passed:
		h.ResponseWriter.WriteHeader(status)
	case h.status != 0:
	case status == http.StatusUnauthorized:
		h.status = status
	case status < http.StatusOK && status != http.StatusSwitchingProtocols:
		h.copyHeader()
		h.ResponseWriter.WriteHeader(status)
	default:
		h.pass(status)
	}
}

// Write holds back a 401's body, up to maxHeldAnswer.
func (h *heldAnswer) Write(data []byte) (int, error) {
	if !h.passed && h.status == 0 {
		h.WriteHeader(http.StatusOK)
	}
	if !h.passed {
		if h.body.Len()+len(data) <= maxHeldAnswer {
			return h.body.Write(data)
		}
		if err := h.release(); err != nil {
			return 0, err
		}
	}
	return h.ResponseWriter.Write(data)
}

// FlushError flushes what is not held back.
func (h *heldAnswer) FlushError() error {
	if !h.passed && h.status == 0 {
		h.WriteHeader(http.StatusOK)
	}
	if !h.passed {
		return nil
	}
	return http.NewResponseController(h.ResponseWriter).Flush()
}

// Unwrap serves http.ResponseController.
func (h *heldAnswer) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *heldAnswer) copyHeader() {
	to := h.ResponseWriter.Header()
	clear(to)
	for name, values := range h.header {
		to[name] = values
	}
}

func (h *heldAnswer) pass(status int) {
	h.copyHeader()
	h.passed = true
	h.ResponseWriter.WriteHeader(status)
}

// release passes on what was held back.
func (h *heldAnswer) release() error {
	if h.passed {
		return nil
	}
	if h.status == 0 { // nothing was answered; headers stay set
		h.copyHeader()
		h.passed = true
		return nil
	}
	h.pass(h.status)
	_, err := h.ResponseWriter.Write(h.body.Bytes())
	return err
}

// refusesToken reports whether the answer is the proxy's refusal of the token rather than a receiver's own 401
// (BAR-1.11, BAR-1.12, BAR-5.26, TOK-4.3). A proxy of ours says whose the answer is; another one's is known by its form.
func (h *heldAnswer) refusesToken() bool {
	if h.passed || h.status != http.StatusUnauthorized || h.header.Get(bars.HeaderAnsweredBy) == bars.ByReceiver {
		return false
	}
	var body io.Reader = bytes.NewReader(h.body.Bytes())
	if h.header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return false
		}
		body = unpacked
	}
	text, err := io.ReadAll(io.LimitReader(body, maxHeldAnswer))
	if err != nil {
		return false
	}
	if slices.Contains(bars.Codes(text), "SEND_UNAUTHORIZED") {
		return true
	}
	var said struct { // the form API Management uses
		Fault struct {
			Detail struct {
				Code string `json:"errorcode"`
			} `json:"detail"`
		} `json:"fault"`
	}
	return json.Unmarshal(text, &said) == nil && strings.HasPrefix(said.Fault.Detail.Code, "keymanagement.service.") &&
		strings.Contains(said.Fault.Detail.Code, "access_token")
}
