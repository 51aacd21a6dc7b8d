package smartcard

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// readTimeout is how long a gateway may take to send a job.
const readTimeout = 30 * time.Second

// readJob reads and checks a job, cheapest check first.
func (s *Server) readJob(w http.ResponseWriter, r *http.Request) (Job, *answered) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset, given := params["charset"]; err != nil || media != mediaJob || (given && !strings.EqualFold(charset, "utf-8")) {
		return Job{}, refuse(http.StatusUnsupportedMediaType, "media_type", "send "+mediaJob)
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return Job{}, refuse(http.StatusUnsupportedMediaType, "media_type", "send the body without a content encoding")
	}
	if r.ContentLength > s.maxBody {
		return Job{}, tooLarge()
	}
	body, refused := s.readBody(w, r)
	if refused != nil {
		return Job{}, refused
	}
	job, err := parseJob(body)
	if err != nil {
		return Job{}, refuse(http.StatusBadRequest, "bad_request", err.Error())
	}
	if !serves(s.users, job.Sub) {
		return Job{}, refuse(http.StatusForbidden, CodeNoCard, "this agent holds no card of that user")
	}
	return job, nil
}

// readBody reads to the end of the body, after which net/http notices when the gateway goes away.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *answered) {
	conn := http.NewResponseController(w)
	if err := optional(conn.SetReadDeadline(time.Now().Add(readTimeout))); err != nil {
		return nil, refuse(http.StatusInternalServerError, "internal", "the connection failed")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.maxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge()
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "bad_request", "the body did not arrive in time")
	}
	// A remaining deadline would look like the gateway going away in the middle of the job.
	if err := optional(conn.SetReadDeadline(time.Time{})); err != nil {
		return nil, refuse(http.StatusInternalServerError, "internal", "the connection failed")
	}
	return body, nil
}

func tooLarge() *answered {
	return refuse(http.StatusRequestEntityTooLarge, "too_large", "the job is too large")
}
