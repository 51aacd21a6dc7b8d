package client

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const document = `<prescription xmlns="urn:example"><drug>Paracetamol 500mg soluble tablets</drug></prescription>`

func TestSignedInfoIsTheCanonicalElement(t *testing.T) {
	for _, c := range []struct {
		algorithm, method, digestMethod, dgst string
		size                                  int
	}{
		{RS1, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1", "-sha1", 517},
		{RS256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", "-sha256", 541},
		{PS256, "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", "http://www.w3.org/2001/04/xmlenc#sha256", "-sha256", 546},
	} {
		t.Run(c.algorithm, func(t *testing.T) {
			payload, digest, err := SignedInfo(c.algorithm, []byte(document))
			if err != nil {
				t.Fatal(err)
			}
			if len(payload) != c.size {
				t.Errorf("got a payload of %d bytes, want %d:\n%s", len(payload), c.size, payload)
			}
			if want := opensslDigest(t, c.dgst, document); digest != want {
				t.Errorf("got digest %s, want openssl's %s", digest, want)
			}
			want := `<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">` +
				`<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></CanonicalizationMethod>` +
				`<SignatureMethod Algorithm="` + c.method + `"></SignatureMethod><Reference><Transforms>` +
				`<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms>` +
				`<DigestMethod Algorithm="` + c.digestMethod + `"></DigestMethod>` +
				`<DigestValue>` + digest + `</DigestValue></Reference></SignedInfo>`
			if string(payload) != want {
				t.Errorf("got  %s\nwant %s", payload, want)
			}
			algorithm, again, ok := ParseSignedInfo(payload)
			if !ok || algorithm != c.algorithm || again != digest {
				t.Errorf("parsed as %q, %q, %v", algorithm, again, ok)
			}
		})
	}
	if _, _, err := SignedInfo("RS512", nil); err == nil {
		t.Error("SignedInfo with RS512: got no error, want one")
	}
}

// opensslDigest computes the digest with OpenSSL, which shares no code with us.
func opensslDigest(t *testing.T, hash, data string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", "dgst", hash, "-binary")
	cmd.Stdin = strings.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl (Debian package openssl): %v", err)
	}
	return base64.StdEncoding.EncodeToString(out)
}

func TestSignedInfoWithURI(t *testing.T) {
	payload, digest, err := SignedInfoFor(RS256, []byte(document), `#a&"<b`)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(payload, []byte(`<Reference URI="#a&amp;&quot;&lt;b">`)) {
		t.Errorf("no such reference in %s", payload)
	}
	if err := wellFormed(payload); err != nil {
		t.Error(err)
	}
	if algorithm, got, ok := ParseSignedInfo(payload); !ok || algorithm != RS256 || got != digest {
		t.Errorf("parsed as %q, %q, %v", algorithm, got, ok)
	}
}

func TestParseSignedInfoOfOthers(t *testing.T) {
	payload, digest, _ := SignedInfo(RS256, []byte(document))
	good := string(payload)
	swap := func(from, to string) string {
		changed := strings.Replace(good, from, to, 1)
		if changed == good {
			t.Fatalf("%q is not there to be replaced", from)
		}
		return changed
	}
	other := "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
	for _, c := range []struct{ name, payload, algorithm, digest string }{
		{"another canonicalisation", swap(excC14N, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"), RS256, digest},
		{"another method", swap(methodRSA256, other), other, digest},
		{"a reference with attributes", swap("<Reference>", `<Reference Id="r" URI="#x">`), RS256, digest},
		{"no transform", swap(infoTransform, ""), RS256, digest},
	} {
		if algorithm, digest, ok := ParseSignedInfo([]byte(c.payload)); !ok || algorithm != c.algorithm || digest != c.digest {
			t.Errorf("%s: got %q, %q, %v", c.name, algorithm, digest, ok)
		}
	}
	for name, payload := range map[string]string{
		"nothing":               "",
		"not XML":               "hello",
		"other namespace":       swap(xmldsig, "urn:x"),
		"white space before":    " " + good,
		"white space after":     good + "\n",
		"no digest":             swap(digest, ""),
		"short digest":          swap(digest, digest[:40]),
		"digest with line":      swap(digest, digest[:20]+"\n"+digest[20:]),
		"digest of other size":  swap(digest, "AAAA"),
		"markup in the method":  swap(methodRSA256, `x"><SignatureMethod Algorithm="`+methodRSASHA1),
		"empty method":          swap(methodRSA256, ""),
		"markup in a reference": swap("<Reference>", `<Reference><x>`),
		"other element":         swap("<Reference>", `<ReferenceList>`),
		"two references":        swap(infoTransform, "</Transforms><DigestMethod/><DigestValue/></Reference><Reference><Transforms>"),
		"truncated":             good[:len(good)-3],
	} {
		if algorithm, digest, ok := ParseSignedInfo([]byte(payload)); ok || algorithm != "" || digest != "" {
			t.Errorf("%s: got algorithm %q and digest %q, want it rejected", name, algorithm, digest)
		}
	}
}

// FuzzParseSignedInfo checks that an accepted payload is well-formed, has a digest and a method, and contains no second
// method or digest.
func FuzzParseSignedInfo(f *testing.F) {
	for _, a := range algorithms() {
		payload, _, _ := SignedInfo(a.name, []byte(document))
		f.Add(payload)
	}
	withURI, _, _ := SignedInfoFor(RS1, []byte(document), "#id")
	f.Add(withURI)
	f.Fuzz(func(t *testing.T, payload []byte) {
		algorithm, digest, ok := ParseSignedInfo(payload)
		if !ok {
			return
		}
		if algorithm == "" || digest == "" {
			t.Fatalf("got empty algorithm %q or digest %q", algorithm, digest)
		}
		if bytes.Count(payload, []byte("<SignatureMethod ")) != 1 || bytes.Count(payload, []byte("<DigestValue>")) != 1 {
			t.Fatalf("accepted an ambiguous payload: %s", payload)
		}
	})
}

func wellFormed(data []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
