package display

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/seed-dd2befc3/countersign/prescription"
	"github.com/seed-dd2befc3/countersign/store"
)

// A display's value is a byte for its form, the id of the secret, and sealed: who has looked at it (a number of marks, and
// the marks), and the fragments, which are compressed. The former form has no marks.
const (
	formerForm = 1
	form       = 2
	idSize     = 8
	headerSize = 1 + idSize
)

// prefix is that of all displays' keys. They are volatile, so no backup has them.
const prefix = store.Volatile + "display/"

// name is the place in bytes. The client's length keeps two places from having one name.
func (p place) name() []byte {
	sum := sha256.Sum256(p.payload)
	name := binary.BigEndian.AppendUint32(nil, uint32(len(p.client))) //nolint:gosec // G115: a client's id is short
	return append(append(name, p.client...), sum[:]...)
}

// key is where a display stands. It tells whether a known client and payload have one, and nothing else.
func (p place) key() string {
	sum := sha256.Sum256(p.name())
	return prefix + base64.RawURLEncoding.EncodeToString(sum[:])
}

// index is what a client's displays are listed under.
func index(client string) string { return prefix + client }

// box seals what is kept at a place, under a key of its own.
func (p place) box(secret []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "countersign display "+string(p.name()), sha256.Size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k *Keeper) seal(ctx context.Context, at place, what content, expires time.Time) (store.Record, error) {
	secret, err := k.secrets.current(ctx, expires)
	if err != nil {
		return store.Record{}, err
	}
	box, err := at.box(secret.value)
	if err != nil {
		return store.Record{}, err
	}
	header := append([]byte{form}, secret.id[:]...)
	plain := k.zip.EncodeAll(what.fragments, what.lookers.encode(make([]byte, 0, len(what.fragments)/4+512)))
	value := box.Seal(header[:headerSize:headerSize], nil, plain, header) //nolint:gosec // G407: the AEAD makes its own random nonce
	if len(value) > store.MaxValue {
		return store.Record{}, ErrTooLarge
	}
	return store.Record{Key: at.key(), Value: value, Expires: expires, Index: index(at.client)}, nil
}

// open returns what was sealed for this place, or nothing if this is none, or its secret is destroyed.
func (k *Keeper) open(ctx context.Context, at place, value []byte) (*content, error) {
	if len(value) < headerSize || value[0] != form && value[0] != formerForm {
		return nil, nil
	}
	secret, err := k.secrets.find(ctx, secretID(value[1:headerSize]))
	if errors.Is(err, errNoSecret) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	box, err := at.box(secret.value)
	if err != nil {
		return nil, err
	}
	plain, err := box.Open(nil, nil, value[headerSize:], value[:headerSize])
	if err != nil {
		return nil, nil //nolint:nilerr // sealed for another place, or changed
	}
	found, packed := &content{}, plain
	if value[0] == form {
		if found.lookers, packed, err = decodeLookers(plain); err != nil {
			return nil, nil //nolint:nilerr // it was sealed by somebody else
		}
	}
	found.fragments, err = k.unzip.DecodeAll(packed, nil)
	if err != nil || len(found.fragments) > prescription.MaxBytes {
		return nil, nil //nolint:nilerr // it was sealed by somebody else
	}
	return found, nil
}
