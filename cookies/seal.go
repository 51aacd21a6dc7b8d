package cookies

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
)

// Seal encrypts and authenticates a text for a browser, which can neither read nor change it. The key derives from a
// secret that the browser does not know, and from a purpose that names everything the text is bound to. A purpose must be
// new for each text, so that no key ever seals enough texts for two nonces to collide.
func Seal(secret []byte, purpose string, text []byte) (string, error) {
	box, err := newBox(secret, purpose)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, text, nil)), nil //nolint:gosec // G407: the box makes its own nonces
}

// Open returns the text sealed under this secret and purpose, or nil if there is none or it was changed.
func Open(secret []byte, purpose, sealed string) ([]byte, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if sealed == "" || len(sealed) > maxSignIn || err != nil {
		return nil, nil //nolint:nilerr // never given to a browser
	}
	box, err := newBox(secret, purpose)
	if err != nil {
		return nil, err
	}
	text, err = box.Open(nil, nil, text, nil)
	if err != nil {
		return nil, nil //nolint:nilerr // sealed under another key, or changed
	}
	return text, nil
}

func newBox(secret []byte, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, sha256.Size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
