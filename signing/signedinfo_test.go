package signing

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"
)

func TestMethodOf(t *testing.T) {
	for text, want := range map[string]string{
		string(signedInfo(RS1, "a")):   RS1,
		string(signedInfo(RS256, "a")): RS256,
		string(signedInfo(PS256, "a")): PS256,
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>`:  RS256,
		`<SignatureMethod Algorithm="http://www.w3.org/2000/09/xmldsig#dsa-sha1"></Signature…`: "",
		`<SignatureMethod Algorithm=""></SignatureMethod>`:                                     "",
	} {
		uri, named := methodOf([]byte(text))
		if !named || signatureMethods[uri] != want {
			t.Errorf("%s: %q, %v", text, uri, named)
		}
	}
	for _, text := range []string{"", "hello", `SignatureMethod Algorithm="`, `<SignatureMethod Algorithm='x'>`} {
		if uri, named := methodOf([]byte(text)); named {
			t.Errorf("%q names %q", text, uri)
		}
	}
}

// A payload that names another method, or one that nobody knows, is refused under every algorithm (SIG-1.31).
func TestSignatureMethodMismatch(t *testing.T) {
	w := newWorld(t, nil)
	unknown := base64.StdEncoding.EncodeToString([]byte(`<SignedInfo><SignatureMethod Algorithm="urn:x"></SignatureMethod></SignedInfo>`))
	for _, algorithm := range []string{RS1, RS256, PS256} {
		for _, named := range []string{RS1, RS256, PS256, "unknown"} {
			sent := payload{"a", unknown}
			if named != "unknown" {
				sent = payloads(named, 1)[0]
			}
			got := w.post(w.Service, sign(t, clientKey(), header(), with(w.claimsFor(algorithm, 1), "payloads", []payload{sent})), "")
			if algorithm == named {
				mustBe(t, got, 200)
				continue
			}
			mustRefuse(t, got, refused{400, "algorithm", claimsPrefix + `"payloads[0].payload" names another SignatureMethod than "algorithm"`})
		}
	}
}

func TestDigestOf(t *testing.T) {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	for text, want := range map[string]string{
		"<DigestValue>YWJj</DigestValue>":  "YWJj",
		"<ds:DigestValue>YWJj</ds:Digest…": "YWJj",
		"<DigestValue>not base64</Digest…": hash("<DigestValue>not base64</Digest…"),
		"<DigestValue></DigestValue>":      hash("<DigestValue></DigestValue>"),
		"<DigestValue>YWJj":                hash("<DigestValue>YWJj"),
		"hello":                            hash("hello"),
		string(sandboxPayload):             "1RXrZFksLoRX+imHNSa0rXdj42xycWqoFC57xjO6Cbk=",
	} {
		if got := digestOf([]byte(text)); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
