package signing

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// newToken makes a session's token, a UUID v4 (SIG-1.13).
func newToken(random io.Reader) (uuid.UUID, error) {
	return uuid.NewRandomFromReader(random)
}

// sessionID names a session where its token must not stand: in the store, in logs, in the page's address.
// It is the first half of the token's SHA-256.
func sessionID(token uuid.UUID) string {
	sum := sha256.Sum256([]byte(token.String()))
	return hex.EncodeToString(sum[:sessionIDSize])
}

const sessionIDSize = 16 // bytes

// isSessionID says whether a text that came from outside can be a session's id.
func isSessionID(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == hex.EncodedLen(sessionIDSize)
}

// seal hides a token from whoever reads the store and opens it again for whoever holds the JWT: the pad comes
// from the JWT's signature, which is 512 bytes long, is kept nowhere, and stands for one token only. Sealing
// a sealed token opens it.
func seal(token uuid.UUID, jws *jwks.Token) uuid.UUID {
	return padded(token, jws.Signature(), "session token")
}

// padded hides a token by a pad that derives from a secret for one purpose, which must name one token only; or shows it
// again.
func padded(token uuid.UUID, secret []byte, purpose string) uuid.UUID {
	pad := mac(secret, "countersign "+purpose)
	for i := range token {
		token[i] ^= pad[i]
	}
	return token
}
