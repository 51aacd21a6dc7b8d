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

// maxJudged is how many bytes of a receiver's 500 or 507 are read to find out whether it explains itself.
const maxJudged = 1 << 20

// judge returns the outcome that replaces a receiver's answer, or nil if the answer is passed on. It puts back what
// it reads of the body.
func judge(answer *http.Response) *Outcome {
	switch answer.StatusCode {
	case http.StatusForbidden:
		return Forbidden.Saying("The receiver answered 403.")
	case http.StatusServiceUnavailable:
		return Unavailable.Saying("The receiver answered 503.")
	case http.StatusGatewayTimeout:
		return TimedOut.Saying("The receiver answered 504.")
	case http.StatusInsufficientStorage:
		if !saysWhy(answer) {
			return NotStored.Saying("The receiver answered 507.")
		}
	case http.StatusInternalServerError:
		if !saysWhy(answer) {
			return Failed.Saying("The receiver answered 500 without an OperationOutcome.")
		}
	}
	return nil
}

// saysWhy reports whether an answer's body is an OperationOutcome.
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

// passedOn returns what the log says about a refusal or failure of the receiver that reaches the sender unchanged;
// nil for a success.
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

// errTimeout is the cause of a context that ended because the receiver took too long.
var errTimeout = errors.New("the receiver did not answer in time")

// judgeError returns the outcome of a request that got no answer. ctx is the request's own.
func judgeError(ctx context.Context, err error) *Outcome {
	if outcome := OutcomeOf(err); outcome != nil {
		return outcome
	}
	if outcome := notSendable(err); outcome != nil {
		return outcome
	}
	var dial *net.OpError
	var dns *net.DNSError
	var timeout net.Error
	dialling := errors.As(err, &dial) && dial.Op == "dial"
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return TimedOut.Saying("The receiver did not answer before the timeout.").With("no answer before the timeout")
	case ctx.Err() != nil:
		return senderGone.With("the sender closed the connection")
	case errors.Is(err, outbound.ErrRefused):
		outcome := Unavailable.Saying("The proxy may not connect to the receiver's address.").With("%v", err)
		outcome.Fault = FaultProxy
		return outcome
	case errors.As(err, &dns):
		return network("cannot resolve the receiver's name", err)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET): // the receiver's machine is up
		return away(FaultReceiver, "the receiver refused or reset the connection", err)
	case certificateFault(err) != "":
		return away(FaultReceiver, certificateFault(err), err)
	case refusedByPeer(err):
		return away(FaultReceiver, "the receiver refused the TLS handshake, most likely because it does not trust the proxy's certificate", err)
	case dialling, errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return network("cannot connect to the receiver", err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut.With("%v", err)
	}
	return away(FaultReceiver, "the connection broke", err)
}

// notSendable returns the outcome of a request that Go's transport refused before it sent anything, or nil. Its errors
// have no types.
func notSendable(err error) *Outcome {
	text := err.Error()
	switch {
	case strings.Contains(text, "http2: request header list larger than peer's advertised limit"):
		return headerTooLong.With("%v", err)
	case strings.Contains(text, "net/http: invalid "), strings.Contains(text, "http2: invalid "), strings.Contains(text, "http: invalid Trailer"):
		return badHeader.With("%v", err)
	}
	return nil
}

// away says that the receiver cannot be reached: what failed to the sender, and the error to the log.
func away(fault Fault, what string, err error) *Outcome {
	outcome := Unavailable.Saying("%s%s.", strings.ToUpper(what[:1]), what[1:]).With("%s: %v", what, err)
	outcome.Fault = fault
	return outcome
}

func network(what string, err error) *Outcome { return away(FaultNetwork, what, err) }

// certificateFault says what is wrong with the certificate the receiver presented, or returns "".
func certificateFault(err error) string {
	var verification *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the receiver does not speak TLS"
	case errors.As(err, &name):
		return "the receiver's certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the receiver's certificate has expired or is not valid yet"
	case errors.As(err, &verification):
		return "the receiver's certificate is not from this environment's chain"
	}
	return ""
}

// refusedByPeer reports whether the other side ended the TLS handshake with an alert.
func refusedByPeer(err error) bool {
	var alert tls.AlertError
	var remote *net.OpError
	return errors.As(err, &alert) || errors.As(err, &remote) && remote.Op == "remote error"
}
