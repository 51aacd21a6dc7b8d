package conformance

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// lifetime is how long an assertion or a signing request is valid.
const lifetime = 4 * time.Minute

// assertion makes the assertion of a client, with the changes of a case.
func (r *run) assertion(change JWT, client string) (string, error) {
	return r.jwt(change, map[string]any{"alg": "RS512", "typ": "JWT", "kid": r.target.KID}, map[string]any{
		"iss": client, "sub": client, "aud": r.target.audience(), "exp": FromNow(lifetime), "jti": uuid.NewString(),
	})
}

// subject makes an ID token of a provider, with the changes of a case. No service knows the provider.
func (r *run) subject(change JWT) (string, error) {
	return r.jwt(change, map[string]any{"alg": "RS512", "typ": "JWT", "kid": r.target.KID}, map[string]any{
		"iss": "https://provider.invalid", "sub": r.target.User, "aud": r.target.Client, "exp": FromNow(lifetime), "iat": FromNow(0),
	})
}

// signed makes a signing request with one payload, with the changes of a case.
func (r *run) signed(change JWT) (string, error) {
	return r.jwt(change, map[string]any{"alg": "RS512", "typ": "JWT", "kid": r.target.KID}, map[string]any{
		"iss": r.target.Client, "sub": r.target.User, "aud": r.target.signingAudience(), "iat": FromNow(0), "exp": FromNow(lifetime),
		"algorithm": "RS256", "payloads": payloads(1),
	})
}

// payload is a SignedInfo over the digest of a random text, as $prepare makes it for RS256 (SIG-2.10).
func payload() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	digest := base64.StdEncoding.EncodeToString(random)
	info := `<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">` +
		`<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></CanonicalizationMethod>` +
		`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></SignatureMethod>` +
		`<Reference><Transforms><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms>` +
		`<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod>` +
		`<DigestValue>` + digest + `</DigestValue></Reference></SignedInfo>`
	return base64.StdEncoding.EncodeToString([]byte(info))
}

// payloads are n payloads with ids of their own.
func payloads(n int) []map[string]string {
	all := make([]map[string]string, n)
	for i := range all {
		all[i] = map[string]string{"id": uuid.NewString(), "payload": payload()}
	}
	return all
}

// jwt signs header and claims with the target's key, after a case has changed them. Its alg is what is used for RS256 and
// RS512; for any other the signature is that of RS512, which nobody should get to look at.
func (r *run) jwt(change JWT, header, claims map[string]any) (string, error) {
	if change.Raw != "" {
		return change.Raw, nil
	}
	apply(header, change.Header, r.now())
	apply(claims, change.Claims, r.now())
	key := r.target.Key
	if change.Forged {
		key = r.stranger
	}
	first, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	second, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(first) + "." + base64.RawURLEncoding.EncodeToString(second)
	hash, digest := crypto.SHA512, sha512.Sum512([]byte(input))
	sum := digest[:]
	if header["alg"] == "RS256" {
		short := sha256.Sum256([]byte(input))
		hash, sum = crypto.SHA256, short[:]
	}
	signature, err := key.Sign(rand.Reader, sum, hash) // PKCS #1 v1.5 for an RSA key
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// apply changes members, and puts times in the place of FromNow.
func apply(members, changes map[string]any, now time.Time) {
	maps.Copy(members, changes)
	for name, value := range members {
		switch v := value.(type) {
		case nil:
			delete(members, name)
		case FromNow:
			members[name] = now.Add(time.Duration(v)).Unix()
		case FromNowText:
			members[name] = strconv.FormatInt(now.Add(time.Duration(v)).Unix(), 10)
		}
	}
}
