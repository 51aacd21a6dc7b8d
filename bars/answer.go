package bars

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/seed-dd2befc3/countersign/outbound"
)

// maxJudged bounds what is read of a receiver's 500 to find out whether it says why, in bytes.
const maxJudged = 1 << 20

// judge says what a receiver's answer becomes; nil: it is passed on as it is. What it has read of the body it puts
// back.
func judge(answer *http.Response) *Outcome {
	switch answer.StatusCode {
	case http.StatusForbidden:
		return forbidden.With("the receiver answered 403")
	case http.StatusServiceUnavailable:
		return unavailable.With("the receiver answered 503")
	case http.StatusGatewayTimeout:
		return timedOut.With("the receiver answered 504")
	case http.StatusInternalServerError:
		if !saysWhy(answer) {
			return serverError.With("the receiver answered 500 without an OperationOutcome")
		}
	}
	return nil
}

// saysWhy tells whether an answer's body is an OperationOutcome.
func saysWhy(answer *http.Response) bool {
	read, err := io.ReadAll(io.LimitReader(answer.Body, maxJudged))
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), answer.Body), answer.Body}
	if err != nil {
		return false
	}
	if answer.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(bytes.NewReader(read))
		if err != nil {
			return false
		}
		if read, err = io.ReadAll(io.LimitReader(unpacked, maxJudged)); err != nil {
			return false
		}
	}
	return IsOutcome(read)
}

// passedOn is what the log tells of a receiver's own refusal or failure, which its sender gets as it is; nil for a
// success.
func passedOn(status int) *Outcome {
	if status < http.StatusBadRequest {
		return nil
	}
	outcome := &Outcome{Status: status, Code: "PASSED_ON", Fault: FaultSender, Text: "The receiver answered " + strconv.Itoa(status) + "."}
	switch {
	case status >= http.StatusInternalServerError, status == http.StatusUnauthorized, status == http.StatusRequestTimeout,
		status == http.StatusTooManyRequests:
		outcome.Fault = FaultReceiver
	}
	return outcome
}

// errTimeout is the cause of a context that ends because the receiver's time is over.
var errTimeout = errors.New("the receiver's time is over")

// judgeError says what becomes of a request that no answer has come to. ctx is the request's own.
func judgeError(ctx context.Context, err error) *Outcome {
	if outcome := OutcomeOf(err); outcome != nil {
		return outcome
	}
	var dial *net.OpError
	var dns *net.DNSError
	var timeout net.Error
	dialling := errors.As(err, &dial) && dial.Op == "dial"
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return timedOut.With("no answer within the time")
	case ctx.Err() != nil:
		return senderGone.With("the sender closed the connection")
	case errors.Is(err, outbound.ErrRefused):
		outcome := unavailable.With("%v", err)
		outcome.Fault = FaultProxy
		return outcome
	case errors.As(err, &dns):
		return network("its name cannot be resolved: %v", err)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET): // somebody was there to do it
		return unavailable.With("it refused or broke the connection: %v", err)
	case certificateFault(err) != "":
		return unavailable.With("%s: %v", certificateFault(err), err)
	case refusedByPeer(err):
		return unavailable.With("the receiver refused the connection in the TLS handshake; the proxy's certificate is not what it trusts: %v", err)
	case dialling, errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return network("it cannot be reached: %v", err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return timedOut.With("%v", err)
	}
	return unavailable.With("the exchange broke off: %v", err)
}

func network(format string, args ...any) *Outcome {
	outcome := unavailable.With(format, args...)
	outcome.Fault = FaultNetwork
	return outcome
}

// certificateFault says what is wrong with what the receiver showed as its certificate, or "".
func certificateFault(err error) string {
	var verification *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS at its address"
	case errors.As(err, &name):
		return "its certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet"
	case errors.As(err, &verification):
		return "its certificate is not from this environment's chain"
	}
	return ""
}

// refusedByPeer says whether the other side ended the TLS handshake with an alert.
func refusedByPeer(err error) bool {
	var alert tls.AlertError
	var remote *net.OpError
	return errors.As(err, &alert) || errors.As(err, &remote) && remote.Op == "remote error"
}
