package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// maxAnswer is how much of an answer is read, so that its connection can be used again. Nothing in it matters.
const maxAnswer = 4 << 10

// send makes one POST. The status is all that counts of the answer: it is not waited for a body that is long or slow.
func (s *Settings) send(ctx context.Context, address string, d *Delivery, now func() time.Time) (a Attempt, wait time.Duration) {
	began := now()
	a.At = began.UTC()
	defer func() { a.Millis = now().Sub(began).Milliseconds() }()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	request, err := s.request(ctx, address, d, began)
	if err != nil {
		a.Outcome, a.Detail = OutcomeNotSent, err.Error()
		return a, 0
	}
	response, err := s.HTTP.Do(request)
	if err != nil {
		a.Outcome, a.Detail = s.failure(err)
		return a, 0
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	a.Status = response.StatusCode
	a.Outcome, a.Detail = verdict(response.StatusCode)
	return a, retryAfter(response.Header, now())
}

// request makes the POST with its body, and signs it for this attempt.
func (s *Settings) request(ctx context.Context, address string, d *Delivery, now time.Time) (*http.Request, error) {
	body, err := s.Source.Body(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("the event cannot be made: %w", err)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	content := client.WebhookContent(d.ID, stamp, body)
	signatures, err := s.Sign(ctx, content)
	if err != nil {
		return nil, fmt.Errorf("the event cannot be signed: %w", err)
	}
	var kids, values []string
	for _, signature := range signatures {
		kids = append(kids, signature.KID)
		values = append(values, client.WebhookSignaturePrefix+base64.StdEncoding.EncodeToString(signature.Value))
	}
	for _, secret := range s.Secrets[d.Client] {
		values = append(values, client.WebhookHMACPrefix+base64.StdEncoding.EncodeToString(secret.sign(content)))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the client's webhook is not an address")
	}
	for name, value := range map[string]string{
		"Content-Type":                "application/json",
		"User-Agent":                  s.UserAgent,
		client.HeaderIdempotencyKey:   d.ID,
		client.HeaderWebhookID:        d.ID,
		client.HeaderWebhookTimestamp: stamp,
		client.HeaderWebhookSignature: strings.Join(values, " "),
		client.HeaderWebhookKeys:      strings.Join(kids, " "),
	} {
		request.Header.Set(name, value)
	}
	return request, nil
}

// verdict says what an answer's status means.
func verdict(status int) (outcome, detail string) {
	said := fmt.Sprintf("the receiver answered %d %s", status, http.StatusText(status))
	switch {
	case status >= 200 && status < 300:
		return OutcomeDelivered, ""
	case status == http.StatusGone:
		return OutcomeGone, said
	case status >= 300 && status < 400:
		return OutcomeRedirect, said + "; redirects are not followed: configure the address it ends at"
	case status < 500:
		return OutcomeRejected, said
	}
	return OutcomeServerError, said
}

// failure says why there was no answer. Only words of our own and of those that connect are taken: a receiver could
// send anything, our token among it, where an answer should begin.
func (s *Settings) failure(err error) (outcome, detail string) {
	var timeout net.Error
	var atNet *net.OpError
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	switch {
	case errors.Is(err, outbound.ErrRefused):
		return OutcomeRefused, inner(err, outbound.ErrRefused).Error()
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return OutcomeTimeout, "no answer within " + s.Timeout.String()
	case errors.Is(err, http.ErrSchemeMismatch):
		return OutcomeUnreachable, "the receiver does not speak https there"
	case errors.As(err, &certificate):
		return OutcomeUnreachable, "the receiver's certificate is not accepted: " + certificate.Err.Error()
	case errors.As(err, &alert):
		return OutcomeUnreachable, "the receiver ended the TLS handshake: " + alert.Error()
	case errors.As(err, &lookup):
		return OutcomeUnreachable, "the receiver's name cannot be looked up: " + lookup.Err
	case errors.As(err, &atNet):
		return OutcomeUnreachable, "no connection to the receiver, or it broke: " + atNet.Op + ": " + atNet.Err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return OutcomeUnreachable, "the receiver closed the connection without an answer"
	}
	return OutcomeUnreachable, "what the receiver answered is not HTTP"
}

// inner is the innermost error that still unwraps to kind: without the address around it.
func inner(err, kind error) error {
	for next := errors.Unwrap(err); next != nil && next != kind && errors.Is(next, kind); next = errors.Unwrap(err) { //nolint:errorlint // the sentinel itself is the end
		err = next
	}
	return err
}
