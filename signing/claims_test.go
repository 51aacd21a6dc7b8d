package signing

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// FuzzClaims decodes and checks whatever a client may have signed: it never panics, and what it accepts holds to
// the rules that the rest of the service relies on.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{
		`{"iss":"acme-epr","sub":"555086689106","aud":"https://gateway.example/signing-service","iat":1795338000,"exp":1795338600,"algorithm":"RS256","payloads":[{"id":"a","payload":"YQ=="}]}`,
		`{"iss":"acme-epr","sub":"555086689106","aud":"https://gateway.example/signing-service","iat":1795338000.5,"exp":1.7953386e9,"algorithm":"RS1","payloads":[{"id":"a","payload":"YQ=="},{"id":"\u0061","payload":"Yg=="}]}`,
		`{"iss":null,"payloads":[null,{},[],{"id":1,"payload":true}]}`,
		`{"payloads":[{"id":"a","payload":"YQ==","x":{"id":"b"}}],"PAYLOADS":[]}`,
		`[]`, `{`, ``,
	} {
		f.Add([]byte(text))
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS512","typ":"JWT","kid":"k"}`))
	p := testPacker(f)
	client := Client{Algorithms: []string{RS1, RS256, PS256}}
	f.Fuzz(func(t *testing.T, text []byte) {
		compact := header + "." + base64.RawURLEncoding.EncodeToString(text) + ".AAAA"
		jws, read, err := readJWS([]byte(compact))
		if err != nil {
			return
		}
		if read.iss == "" || jws.Header != (jwks.Header{Alg: "RS512", Typ: "JWT", KID: "k"}) {
			t.Fatalf("read %+v of %s", read, text)
		}
		checked := read.checkClaims(baseURL, client, now, time.Minute, true)
		items, err := read.decodePayloads()
		if checked == nil {
			if !twelveDigits(read.sub) || !client.allows(read.algorithm) || read.exp.Before(now.Add(-time.Minute)) || read.exp.After(now.Add(11*time.Minute)) {
				t.Errorf("accepted %+v of %s", read, text)
			}
		}
		if err != nil {
			if asError(err).Status != 400 {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if len(items) == 0 || len(items) > MaxPayloads {
			t.Errorf("accepted %d items of %s", len(items), text)
		}
		seen := map[string]bool{}
		for _, it := range items {
			if it.ID == "" || len(it.ID) > maxID || seen[it.ID] || len(it.Payload) == 0 {
				t.Errorf("accepted the item %+v of %s", it, text)
			}
			seen[it.ID] = true
		}
		if back, err := p.unpack(p.pack(items)); err != nil || len(back) != len(items) {
			t.Errorf("accepted items do not come back: %v", err)
		}
	})
}

func TestLongSub(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Trust.AnyUser = true })
	long := make([]byte, maxID+1)
	for i := range long {
		long[i] = 'x'
	}
	mustRefuse(t, w.post(w.Service, sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "sub", string(long))), ""),
		refused{400, "claims", claimsPrefix + `"sub" must be a string of 1 to 256 bytes`})
	w.accept(sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "sub", "anybody")), "")
}
