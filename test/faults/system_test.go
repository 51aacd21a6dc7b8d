package faults_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	person       = "555086689106" // who signs: a made-up SDS user id
	clientID     = "acme"
	kid          = "acme-1"
	assertionFor = 4 * time.Minute
	accessFor    = 9 * time.Minute // less than the 599 s that it lasts
)

// signer is the client system's key, made by OpenSSL; TestMain sets it.
var signer struct {
	gateway.Key
	private *rsa.PrivateKey
}

func loadSigner(dir string) (err error) {
	if signer.Key, err = gateway.MakeKey(dir, 4096); err != nil {
		return err
	}
	text, err := os.ReadFile(signer.Private)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	signer.private = key.(*rsa.PrivateKey)
	return nil
}

// newJWT signs claims by RS512.
func newJWT(claims map[string]any) (string, error) {
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS512","typ":"JWT","kid":"`+kid+`"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(body)
	sum := sha512.Sum512([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, signer.private, crypto.SHA512, sum[:])
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// item is one thing to be signed.
type item struct {
	ID      string `json:"id"`
	Payload string `json:"payload"`
}

// newItems are prescriptions that no other request has.
func newItems(n int) []item {
	items := make([]item, n)
	about := rand.Text()
	for i := range items {
		info := gateway.SignedInfo("RS256", "", fmt.Appendf(nil, "%s, item %d", about, i))
		items[i] = item{ID: fmt.Sprintf("%s-%d", about[:6], i), Payload: base64.StdEncoding.EncodeToString(info)}
	}
	return items
}

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// field is a member of a JSON object with a string in it, or nothing.
func (a answer) field(name string) string {
	var fields map[string]any
	_ = json.Unmarshal(a.body, &fields)
	text, _ := fields[name].(string)
	return text
}

func (a answer) String() string { return fmt.Sprintf("%d %.200s", a.status, a.body) }

// call sends a request and reads the answer. Header fields come in pairs.
func call(ctx context.Context, through *http.Client, method, address, body string, header ...string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := through.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, text}, err
}

// newAssertion is a client assertion with a fresh jti, as the form that is posted.
func newAssertion(audience string, now time.Time) (*assertion, error) {
	expiry := now.Add(assertionFor)
	jwt, err := newJWT(map[string]any{"iss": clientID, "sub": clientID, "aud": audience, "jti": rand.Text(), "exp": expiry.Unix()})
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {jwt},
	}
	return &assertion{form: form.Encode(), expiry: expiry}, nil
}

// newRequest is a signing request over so many items, and a state of its own.
func newRequest(audience string, now time.Time, n int) (*request, error) {
	r := &request{items: newItems(n), state: "state=" + rand.Text()}
	var err error
	r.jwt, err = newJWT(map[string]any{
		"iss": clientID, "sub": person, "aud": audience, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"algorithm": "RS256", "payloads": r.items, "jti": rand.Text(),
	})
	return r, err
}

// released is the answer with the signatures.
type released struct {
	Signatures []struct {
		ID        string `json:"id"`
		Signature []byte `json:"signature"`
	} `json:"signatures"`
	Certificate []byte `json:"certificate"`
}

// verify holds an answer to what was asked: every item, in order, each with a signature that is right over its own
// payload by the certificate of the person. It returns a digest by which the answer is known again.
func (r *request) verify(body []byte) (digest string, err error) {
	var got released
	if err := json.Unmarshal(body, &got); err != nil {
		return "", err
	}
	certificate, err := x509.ParseCertificate(got.Certificate)
	if err != nil {
		return "", err
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok || !strings.HasPrefix(certificate.Subject.CommonName, person) {
		return "", errors.New("the certificate is not the person's")
	}
	if len(got.Signatures) != len(r.items) {
		return "", fmt.Errorf("half done: %d signatures for %d items", len(got.Signatures), len(r.items))
	}
	for i, s := range got.Signatures {
		payload, err := base64.StdEncoding.DecodeString(r.items[i].Payload)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(payload)
		if s.ID != r.items[i].ID {
			return "", fmt.Errorf("signature %d is of %q and should be of %q", i, s.ID, r.items[i].ID)
		}
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], s.Signature); err != nil {
			return "", fmt.Errorf("item %q: %w", s.ID, err)
		}
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}
