package client

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// The headers of a webhook, by the Standard Webhooks specification, and one of our own.
const (
	HeaderWebhookID        = "Webhook-Id"        // of the message, the same for every attempt; also in Idempotency-Key
	HeaderWebhookTimestamp = "Webhook-Timestamp" // of the attempt, in seconds since 1970
	HeaderWebhookSignature = "Webhook-Signature" // "v1a," and base64 of an Ed25519 signature, or "v1," and of an HMAC; several are separated by spaces
	HeaderWebhookKeys      = "Webhook-Key-Id"    // kids of the Ed25519 keys, in the order of their signatures
	HeaderIdempotencyKey   = "Idempotency-Key"
)

// WebhookSignaturePrefix precedes each signature by an Ed25519 key, and WebhookHMACPrefix each HMAC-SHA256 under a secret that
// the receiver shares with the service.
const (
	WebhookSignaturePrefix = "v1a,"
	WebhookHMACPrefix      = "v1,"
)

// The types of a WebhookEvent. All but the first mean that there are no signatures.
const (
	WebhookCompleted = "signing.completed"
	WebhookFailed    = "signing.failed"
	WebhookCancelled = "signing.cancelled"
	WebhookExpired   = "signing.expired"
)

const (
	defaultTolerance = 5 * time.Minute
	maxWebhookSigs   = 8 // signatures of one webhook that are checked
)

// WebhookEvent is the body of a webhook: the end of a request (SIG-3.2). It contains no signatures; fetch those of a
// completed request with Data.Token.
type WebhookEvent struct {
	ID        string      `json:"id"` // the same as in the header
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"` // when it happened
	Data      WebhookData `json:"data"`
}

// WebhookData tells which request a WebhookEvent is about.
type WebhookData struct {
	Token  string         `json:"token"`
	Status string         `json:"status"`           // signed, failed, cancelled or expired
	Reason *WebhookReason `json:"reason,omitempty"` // why it was not signed
	State  string         `json:"state,omitempty"`  // the caller's own, as it is read at the callback: without percent-encoding
	Client string         `json:"client"`

	Audit *AuditEntry `json:"audit,omitempty"` // of a signed request: its record in the gateway's audit log
}

// AuditEntry identifies an entry of a gateway's audit log by its number and hash, which also stand for everything before
// it. With a kept one it can be proven later that the log still contains that record unmodified:
// caddy countersign audit verify --head <node>/<number>:<hash>.
type AuditEntry struct {
	Node   string `json:"node"` // the log's name
	Number uint64 `json:"number"`
	Hash   string `json:"hash"` // SHA-256, in hex
}

// WebhookReason is a stable code, and what the person was told.
type WebhookReason struct {
	Code string   `json:"code"`
	Text string   `json:"text"`
	IDs  []string `json:"ids,omitempty"` // of ReasonDeclined: the items that the person found something wrong with
}

// ErrWebhook is wrapped by every refusal of VerifyWebhook: answer with 400 or 401, and do nothing else.
var ErrWebhook = errors.New("not a webhook of the service")

// WebhookContent returns what a webhook's signature covers.
func WebhookContent(id, timestamp string, body []byte) []byte {
	content := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	content = append(append(content, id...), '.')
	content = append(append(content, timestamp...), '.')
	return append(content, body...)
}

// WebhookKeys are the service's public keys by kid.
type WebhookKeys map[string]ed25519.PublicKey

// ParseWebhookKeys parses the key set that the service publishes at <public_url>/jwks.json, and ignores keys that are not
// Ed25519. A receiver caches the set for a while, and fetches it again when a webhook does not verify.
func ParseWebhookKeys(set []byte) (WebhookKeys, error) {
	var read struct {
		Keys []struct {
			KID string `json:"kid"`
			KTY string `json:"kty"`
			CRV string `json:"crv"`
			X   string `json:"x"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(set, &read); err != nil {
		return nil, fmt.Errorf("service's key set is not a JWK set: %w", err)
	}
	keys := WebhookKeys{}
	for _, key := range read.Keys {
		if key.KTY != "OKP" || key.CRV != "Ed25519" {
			continue
		}
		public, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("key %.64q of the service's key set is not an Ed25519 key", key.KID)
		}
		keys[key.KID] = public
	}
	if len(keys) == 0 {
		return nil, errors.New("service's key set has no Ed25519 key")
	}
	return keys, nil
}

// VerifyWebhook verifies a webhook at its receiver. It returns the event only if one of the keys has signed these headers
// and this body, byte for byte as received, and if the attempt is at most tolerance (zero: 5 minutes) from now. All
// errors wrap ErrWebhook. The same event can arrive more than once: a receiver remembers the ids that it has
// processed.
func VerifyWebhook(header http.Header, body []byte, keys WebhookKeys, now time.Time, tolerance time.Duration) (*WebhookEvent, error) {
	id, stamp := header.Get(HeaderWebhookID), header.Get(HeaderWebhookTimestamp)
	if id == "" || stamp == "" || header.Get(HeaderWebhookSignature) == "" {
		return nil, refuseWebhook("missing header: want webhook-id, webhook-timestamp and webhook-signature")
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return nil, refuseWebhook("webhook-timestamp is not a number of seconds")
	}
	if tolerance <= 0 {
		tolerance = defaultTolerance
	}
	if apart := now.Sub(time.Unix(seconds, 0)); apart > tolerance || apart < -tolerance {
		return nil, refuseWebhook("sent %s from now, which is over %s: check this machine's clock", apart.Abs().Round(time.Second), tolerance)
	}
	if !keys.signed(header.Get(HeaderWebhookSignature), WebhookContent(id, stamp, body)) {
		return nil, refuseWebhook("not signed by any of the service's keys: fetch the key set again if it is old")
	}
	event := &WebhookEvent{}
	if err := json.Unmarshal(body, event); err != nil {
		return nil, refuseWebhook("body is not an event, although it is signed: the service is newer than this receiver")
	}
	if event.ID != id {
		return nil, refuseWebhook("body has another id than the header")
	}
	return event, nil
}

// signed reports whether one of the signatures is valid under one of the keys.
func (k WebhookKeys) signed(signatures string, content []byte) bool {
	for i, text := range strings.Fields(signatures) {
		encoded, isOurs := strings.CutPrefix(text, WebhookSignaturePrefix)
		signature, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !isOurs || err != nil || i >= maxWebhookSigs {
			continue
		}
		for _, key := range k {
			if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, content, signature) {
				return true
			}
		}
	}
	return false
}

func refuseWebhook(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrWebhook, fmt.Sprintf(format, args...))
}
