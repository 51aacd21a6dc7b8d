package client

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
)

// crockford is the alphabet of Crockford's base 32, which has no letter that looks like a digit.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// BatchCode returns the code that a client and the signing page show for the same batch, such as "7Q3K 9F0B TV2M". It is
// the first 60 bits of SHA-256 over the SHA-256 of each decoded payload, in the order of the request. A person who
// compares the codes notices a mix-up of batches. The code is no protection against an attacker, who can search for a
// batch with the same code.
func BatchCode(payloads []Payload) (string, error) {
	batch := sha256.New()
	for _, p := range payloads {
		payload, err := decode(p.Payload)
		if err != nil {
			return "", fmt.Errorf("payload %.64q is not base64", p.ID)
		}
		one := sha256.Sum256(payload)
		batch.Write(one[:])
	}
	// Eight bytes are 13 characters, of which the first 12 are 60 bits.
	code := crockford.EncodeToString(batch.Sum(nil)[:8])
	return code[:4] + " " + code[4:8] + " " + code[8:12], nil
}
