package signing

import (
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
)

// What there is for callers by default: bytes of signing requests and of the page's calls that are held at one time,
// and people who come back from their provider. A group that is full gives up those who have proven nothing.
const (
	MaxHeld      = 256 << 20
	MaxHeldCalls = 64 << 20
	MaxSignIns   = 1024
)

// takeBody reads a signing request's body within its bounds of size, time and memory. The caller gives its place back
// when it is done with the body. Who has shown an access token is proven before.
func (s *Service) takeBody(w http.ResponseWriter, r *http.Request, proven bool) (body []byte, place *intake.Taken, err error) {
	if r.ContentLength > MaxBody {
		return nil, nil, tooLarge(MaxBody)
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "text/plain" {
		return nil, nil, failure(http.StatusUnsupportedMediaType, "content_type",
			"Send the request as Content-Type: text/plain, with the JWT as the whole body").
			because("Content-Type", "text/plain", quoted(r.Header.Get("Content-Type")))
	}
	return s.takeIn(s.Requests, w, r, MaxBody, proven)
}

// takeIn reads a body of limited length as one of a group.
func (s *Service) takeIn(group *intake.Group, w http.ResponseWriter, r *http.Request, limit int64, proven bool,
) (body []byte, place *intake.Taken, err error) {
	if r.ContentLength > limit {
		return nil, nil, tooLarge(limit)
	}
	if place, err = group.Take(w, r); err != nil {
		return nil, nil, unavailable("bodies in flight are at their limit")
	}
	if proven {
		err = place.Prove()
	}
	if err == nil {
		body, err = place.Read(limit, s.Durations.ReadBody)
	}
	if err != nil {
		place.Release()
		return nil, nil, unread(err, limit)
	}
	return body, place, nil
}

// unread words why a body could not be read.
func unread(err error, limit int64) error {
	switch {
	case errors.Is(err, intake.ErrTooLarge):
		return tooLarge(limit)
	case errors.Is(err, intake.ErrSlow):
		return failure(http.StatusRequestTimeout, "body", "The request's body took too long to arrive")
	case errors.Is(err, share.ErrFull):
		return unavailable("bodies in flight are at their limit")
	case errors.Is(err, share.ErrGivenUp):
		return unavailable(err.Error())
	}
	return badRequest("body", "The request's body did not arrive whole").withDetail("%s", err)
}

func tooLarge(limit int64) *Error {
	return failure(http.StatusRequestEntityTooLarge, "too_large", "The body may have at most %d bytes here", limit).
		because("size of the body", fmt.Sprintf("at most %d bytes", limit), "more")
}
