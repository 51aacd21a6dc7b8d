package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// Signature is a signature by a key of the gateway.
type Signature struct {
	KID   string
	Value []byte
}

// Signer signs heads. The gateway's own keys implement it.
type Signer interface {
	// SignAll signs with the current key, whose signature comes first, and with former keys that are still published,
	// so that a verifier that knows only those can still trust the log.
	SignAll(ctx context.Context, message []byte) ([]Signature, error)
	// PublicSet returns the JWK set of the published keys, including those that will sign next.
	PublicSet(ctx context.Context) ([]byte, error)
}

// Head is a signed head of a log.
type Head struct {
	Position           // the entry that is the head
	Log      string    `json:"log,omitempty"` // random, constant for the log's whole life
	Time     time.Time `json:"time"`
	KID      string    `json:"kid"`
}

const signWithin = 10 * time.Second

// signHead signs the current chain, if there is anything to sign.
func (l *Log) signHead() {
	ctx, cancel := context.WithTimeout(context.Background(), signWithin)
	defer cancel()
	_ = l.trySign(ctx) // logged, and retried with the next head
}

// trySign signs the current chain, and introduces keys published since. If that fails, the next head is signed
// instead.
func (l *Log) trySign(ctx context.Context) error {
	fresh, err := l.freshKeys(ctx)
	if l.gap.entries == 0 && l.head.Seq > 0 && len(fresh) == 0 {
		return nil // nothing to sign, or nothing that cannot wait until the key set can be read
	}
	if err == nil {
		err = l.appendHead(ctx)
	}
	l.attempted = time.Now()
	if err != nil {
		l.why, l.headError = "a head could not be signed", err.Error()
		l.Logger.ErrorContext(ctx, "signing the audit log's head failed and is retried with the next one",
			"dir", l.Dir, "entries", l.gap.entries, "error", err)
		l.signAt = l.gap.entries + l.HeadEvery // a signer that takes long to fail must not delay every entry
		return err
	}
	l.why, l.headError, l.signAt = "", "", l.HeadEvery
	made := l.lastHead()
	l.notice()
	l.Logger.LogAttrs(ctx, slog.LevelInfo, "audit head signed", slog.String("node", made.Node),
		slog.Uint64("number", made.Number), slog.String("hash", made.Hash), slog.String("kid", made.KID))
	l.OnHead()
	return nil
}

// appendHead writes the keys that are missing in the current file, the reason if the head is late, and the head.
func (l *Log) appendHead(ctx context.Context) error {
	at := l.Now()
	if err := l.ready(at); err != nil {
		return err
	}
	fresh, err := l.freshKeys(ctx) // the file may be new
	if err != nil {
		return err
	}
	if err := l.put(at, fresh...); err != nil {
		return err
	}
	if l.gap.overdue(at) && !l.gap.explained {
		data, err := json.Marshal(late{Since: l.gap.since, Entries: l.gap.entries, Why: orElse(l.why, "the gateway was held up")})
		if err != nil {
			return err
		}
		if err := l.put(at, Entry{Kind: kindLate, Data: data}); err != nil {
			return err
		}
	}
	signatures, err := l.Signer.SignAll(ctx, headMessage(l.last.Seq, l.last.Hash))
	if err != nil {
		return err
	}
	if len(signatures) == 0 {
		return errors.New("the gateway has no signing key")
	}
	made := head{KID: signatures[0].KID, Signature: signatures[0].Value, Version: headVersion}
	for i, by := range signatures {
		if !l.known[by.KID] {
			return fmt.Errorf("key %s was generated just now", by.KID)
		}
		if i > 0 {
			made.Also = append(made.Also, signature{KID: by.KID, Signature: by.Value})
		}
	}
	data, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return l.put(at, Entry{Kind: kindHead, Data: data})
}

// freshKeys returns entries for published keys that the current file does not have. So each file can be verified by
// itself after they are no longer published, and a key is introduced before it signs.
func (l *Log) freshKeys(ctx context.Context) ([]Entry, error) {
	set, err := l.Signer.PublicSet(ctx)
	if err != nil {
		return nil, err
	}
	var fresh []Entry
	err = eachKey(set, func(kid string, jwk json.RawMessage, _ ed25519.PublicKey) error {
		if l.known[kid] {
			return nil
		}
		data, err := json.Marshal(publicKey{KID: kid, JWK: jwk})
		fresh = append(fresh, Entry{Kind: kindKey, Data: data})
		return err
	})
	return fresh, err
}

// lastHead returns the last head of the log. Its Number is 0 if there is none.
func (l *Log) lastHead() Head {
	var signed head
	if l.head.Seq > 0 {
		_ = json.Unmarshal(l.head.Data, &signed) // it was parsed, or encoded, as one before
	}
	return Head{Position: l.head.position(l.name.Node), Log: l.name.Log, Time: l.head.Time, KID: signed.KID}
}

// headMessage returns the message that a head signs: everything up to the entry before it.
func headMessage(seq uint64, hash string) []byte {
	return []byte("countersign audit head\n" + strconv.FormatUint(seq, 10) + "\n" + hash)
}

// eachKey calls each with the Ed25519 keys of a JWK set, and ignores those of other types.
func eachKey(set []byte, each func(kid string, jwk json.RawMessage, key ed25519.PublicKey) error) error {
	var parsed struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &parsed); err != nil {
		return fmt.Errorf("parsing the key set: %w", err)
	}
	for _, jwk := range parsed.Keys {
		if kid, key, err := parseJWK(jwk); err == nil {
			if err := each(kid, jwk, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseJWK parses an Ed25519 public key (RFC 8037).
func parseJWK(text []byte) (kid string, key ed25519.PublicKey, err error) {
	var jwk struct {
		KTY string `json:"kty"`
		CRV string `json:"crv"`
		KID string `json:"kid"`
		X   string `json:"x"`
	}
	if err := json.Unmarshal(text, &jwk); err != nil {
		return "", nil, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(jwk.X)
	if err != nil || jwk.KTY != "OKP" || jwk.CRV != "Ed25519" || len(raw) != ed25519.PublicKeySize || jwk.KID == "" {
		return "", nil, errors.New("not an Ed25519 key with a kid")
	}
	return jwk.KID, raw, nil
}
