package jwks

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

type payloadItem struct {
	ID      string `json:"id"`
	Payload string `json:"payload"`
}

type claims struct {
	Iss      string         `json:"iss"`
	Sub      string         `json:"sub"`
	Exp      jsontext.Value `json:"exp"`
	Payloads []payloadItem  `json:"payloads"`
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func compact(header, payload string) []byte {
	return []byte(segment(header) + "." + segment(payload) + "." + segment("signature"))
}

const goodHeader = `{"alg":"RS512","typ":"JWT","kid":"k1"}`

func TestMintedTokenIsReadAndVerified(t *testing.T) {
	signer := testSigner(t, "k1")
	text, err := signer.Mint(map[string]any{"iss": "epr", "exp": 1700000000, "payloads": []payloadItem{{ID: "1", Payload: "YQ=="}}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Header{Alg: "RS512", KID: "k1", Typ: "JWT"}); token.Header != want {
		t.Errorf("got header %+v, want %+v", token.Header, want)
	}
	if err := token.Verify(signer.Key()); err != nil {
		t.Errorf("Verify: got %v, want nil", err)
	}
	if err := token.Verify(signer.Key().WithCryptoRSA()); err != nil {
		t.Errorf("Verify with crypto/rsa: got %v, want nil", err)
	}
	var c claims
	if err := token.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if c.Iss != "epr" || len(c.Payloads) != 1 || c.Payloads[0] != (payloadItem{ID: "1", Payload: "YQ=="}) {
		t.Errorf("got claims %+v, want iss epr and one payload with id 1", c)
	}
	// golang-jwt agrees when it verifies with our method.
	parser := jwt.NewParser(jwt.WithoutClaimsValidation())
	parsed, _, err := parser.ParseUnverified(text, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	input, _, _ := strings.Cut(text, "."+base64.RawURLEncoding.EncodeToString(token.Signature()))
	if err := rs512.Verify(input, token.Signature(), signer.Key()); err != nil {
		t.Errorf("rs512.Verify: got %v, want nil", err)
	}
	if parsed.Header["kid"] != "k1" {
		t.Errorf("golang-jwt reads kid %v, want k1", parsed.Header["kid"])
	}
}

func TestVerifyRefuses(t *testing.T) {
	signer, other := testSigner(t, "k1"), testSigner(t, "k2")
	text, err := signer.Mint(map[string]any{"iss": "epr"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	flipped := func(i int) string {
		raw, err := base64.RawURLEncoding.DecodeString(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		raw[i] ^= 1
		return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(raw)
	}
	for name, test := range map[string]struct {
		text string
		key  *Key
		want Code
	}{
		"another key":       {text, other.Key(), CodeSignature},
		"first byte":        {flipped(0), signer.Key(), CodeSignature},
		"last byte":         {flipped(signer.Key().ModulusBytes() - 1), signer.Key(), CodeSignature},
		"short signature":   {parts[0] + "." + parts[1] + ".AAAA", signer.Key(), CodeSignature},
		"another payload":   {parts[0] + "." + segment(`{"iss":"epR"}`) + "." + parts[2], signer.Key(), CodeSignature},
		"alg RS256":         {segment(`{"alg":"RS256"}`) + "." + parts[1] + "." + parts[2], signer.Key(), CodeAlg},
		"alg none":          {segment(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2], signer.Key(), CodeAlg},
		"alg missing":       {segment(`{}`) + "." + parts[1] + "." + parts[2], signer.Key(), CodeAlg},
		"alg in lower case": {segment(`{"alg":"rs512"}`) + "." + parts[1] + "." + parts[2], signer.Key(), CodeAlg},
	} {
		token, err := Parse([]byte(test.text))
		if err != nil {
			t.Errorf("%s: Parse: %v", name, err)
			continue
		}
		for _, key := range []*Key{test.key, test.key.WithCryptoRSA()} {
			if err := token.Verify(key); CodeOf(err) != test.want {
				t.Errorf("%s: got %v, want code %s", name, err, test.want)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(compact(goodHeader, `{}`))
	h, p := segment(goodHeader), segment(`{}`)
	for name, test := range map[string]struct {
		text string
		want Code
	}{
		"empty":                {"", CodeMalformed},
		"no dot":               {"abc", CodeMalformed},
		"two segments":         {h + "." + p, CodeMalformed},
		"four segments":        {good + ".AAAA", CodeMalformed},
		"no signature":         {h + "." + p + ".", CodeMalformed},
		"no header":            {"." + p + ".AAAA", CodeMalformed},
		"no payload":           {h + "..AAAA", CodeMalformed},
		"newline at the end":   {good + "\n", CodeMalformed},
		"newline within":       {h[:4] + "\n" + h[4:] + "." + p + ".AAAA", CodeMalformed},
		"carriage return":      {h + "." + p + "\r.AAAA", CodeMalformed},
		"space before":         {" " + good, CodeMalformed},
		"padding":              {h + "." + p + ".AAA=", CodeMalformed},
		"standard alphabet":    {h + "." + p + ".AA+/", CodeMalformed},
		"not ASCII":            {h + "." + p + ".AAAé", CodeMalformed},
		"NUL":                  {h + "." + p + ".AAA\x00", CodeMalformed},
		"unused bits set":      {h + "." + p + ".AB", CodeBase64},
		"one character":        {h + "." + p + ".A", CodeBase64},
		"impossible length":    {h + "." + p + ".AAAAA", CodeBase64},
		"header not an object": {segment(`"x"`) + "." + p + ".AAAA", CodeJSON},
		"header null":          {segment(`null`) + "." + p + ".AAAA", CodeJSON},
		"header trailing data": {segment(goodHeader+`{}`) + "." + p + ".AAAA", CodeJSON},
		"header cut off":       {segment(`{"alg":"RS512"`) + "." + p + ".AAAA", CodeJSON},
		"header BOM":           {segment("\uFEFF{}") + "." + p + ".AAAA", CodeJSON},
		"duplicate alg":        {segment(`{"alg":"RS512","alg":"RS512"}`) + "." + p + ".AAAA", CodeJSON},
		"duplicate escaped":    {segment(`{"alg":"RS512","\u0061lg":"none"}`) + "." + p + ".AAAA", CodeJSON},
		"folded kid":           {segment(`{"alg":"RS512","KID":"x"}`) + "." + p + ".AAAA", CodeJSON},
		"kelvin kid":           {segment("{\"\u212aid\":\"x\"}") + "." + p + ".AAAA", CodeJSON},
		"invalid UTF-8":        {segment("{\"kid\":\"\xff\"}") + "." + p + ".AAAA", CodeJSON},
		"crit":                 {segment(`{"alg":"RS512","crit":["b64"]}`) + "." + p + ".AAAA", CodeCrit},
		"crit null":            {segment(`{"crit":null}`) + "." + p + ".AAAA", CodeCrit},
	} {
		if token, err := Parse([]byte(test.text)); CodeOf(err) != test.want || token != nil {
			t.Errorf("%s: got %v, want code %s", name, err, test.want)
		}
	}
}

func TestHeaderFieldsOfOtherTypesCountAsMissing(t *testing.T) {
	token, err := Parse(compact(`{"alg":512,"kid":["k"],"typ":null,"jwk":{"kty":"RSA"}}`, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	if token.Header != (Header{}) {
		t.Errorf("got header %+v, want all fields empty", token.Header)
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := func(n int) string {
		return `{"x":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
	}
	for name, test := range map[string]struct {
		payload string
		want    Code
		member  string
	}{
		"fine":                        {`{"iss":"a","sub":"b","exp":1,"payloads":[{"id":"1","payload":"x"}]}`, "", ""},
		"unknown members":             {`{"ID":"a","nested":{"SUB":1,"Id":2},"x":[{"ISS":1}]}`, "", ""},
		"16 levels":                   {deep(16), "", ""},
		"17 levels":                   {deep(17), CodeJSON, ""},
		"brackets in strings":         {`{"x":"` + strings.Repeat("[{", 20) + `","y":"\"[\\"}`, "", ""},
		"unknown below array":         {`{"payloads":[{"id":"1","more":{"ID":1}},{"id":"2"}],"x":{"ID":1}}`, "", ""},
		"array":                       {`[]`, CodeJSON, ""},
		"null":                        {`null`, CodeJSON, ""},
		"trailing":                    {`{} x`, CodeJSON, ""},
		"duplicate":                   {`{"sub":"a","sub":"a"}`, CodeJSON, ""},
		"duplicate of unknown member": {`{"x":{"y":1,"y":2}}`, CodeJSON, ""},
		"folded":                      {`{"sub":"a","SUB":"b"}`, CodeJSON, ""},
		"folded alone":                {`{"Sub":"b"}`, CodeJSON, ""},
		"folded escaped":              {`{"\u0053ub":"b"}`, CodeJSON, ""},
		"folded long s":               {"{\"\u017fub\":\"b\"}", CodeJSON, ""},
		"folded before a space":       {`{"SUB" : "b"}`, CodeJSON, ""},
		"folded below":                {`{"payloads":[{"id":"1","Payload":"x"}]}`, CodeJSON, ""},
		"folded below, second":        {`{"payloads":[{"id":"1"},{"ID":"x"}]}`, CodeJSON, ""},
		"folded below, after an odd":  {`{"payloads":[[1,"a"],{"id":{"q":[1]}},{"ID":"x"}]}`, CodeJSON, ""},
		"folded extra":                {`{"JTI":"x"}`, CodeJSON, ""},
		"extra":                       {`{"jti":"x"}`, "", ""},
		"invalid UTF-8":               {"{\"iss\":\"\xc3\x28\"}", CodeJSON, ""},
		"half a surrogate":            {`{"iss":"\ud800"}`, CodeJSON, ""},
		"NaN":                         {`{"exp":NaN}`, CodeJSON, ""},
		"comment":                     {`{/**/}`, CodeJSON, ""},
		"unclosed string":             {`{"iss":"abc`, CodeJSON, ""},
		"only closers":                {`{}}}]]`, CodeJSON, ""},
		"escaped quotes":              {`{"x":"\",\"SUB\":1,\"y\":\"","z":1}`, "", ""},
		"folded after a backslash":    {`{"x":"\\","SUB":"\\\\"}`, CodeJSON, ""},
		"sub a number, then garbage":  {`{"sub":5,}`, CodeJSON, ""},
		"sub a number, then folded":   {`{"sub":5,"SUB":5}`, CodeJSON, ""},
		"sub a number":                {`{"sub":5}`, CodeType, "/sub"},
		"payload id a number":         {`{"payloads":[{"id":"1"},{"id":1}]}`, CodeType, "/payloads/1/id"},
	} {
		token, err := Parse(compact(goodHeader, test.payload))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var c claims
		err = token.Decode(&c, "jti")
		if CodeOf(err) != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s: got %v, want code %q", name, err, test.want)
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Member != test.member {
			t.Errorf("%s: got member %q, want %q", name, e.Member, test.member)
		}
	}
}

func TestNamesBelowRawMembersCanBeKnown(t *testing.T) {
	for payload, want := range map[string]Code{
		`{"payloads":[{"id":"1"}]}`: "", `{"payloads":[{"id":"1","ID":"2"}]}`: CodeJSON, `{"payloads":{"a":[{"ID":"2"}]}}`: "", `{"ID":1}`: "",
		`{"PAYLOADS":[]}`: CodeJSON,
	} {
		token, err := Parse(compact(goodHeader, payload))
		if err != nil {
			t.Fatal(err)
		}
		var raw struct {
			Payloads jsontext.Value `json:"payloads"`
		}
		if err := token.Decode(&raw, "payloads/id", "payloads/payload"); CodeOf(err) != want {
			t.Errorf("%s: got %v, want code %q", payload, err, want)
		}
	}
}

func TestErrorsHoldNothingOfTheToken(t *testing.T) {
	const secret = "AKWRDSECRETVALUE"
	for _, payload := range []string{
		`{"sub":"` + secret + `","sub":1}`, `{"sub":"` + secret + `"`, `{"payloads":"` + secret + `"}`,
		`{"` + secret + `":1,"` + secret + `":2}`, `{"exp":` + secret + `}`,
	} {
		token, err := Parse(compact(goodHeader, payload))
		if err != nil {
			t.Fatal(err)
		}
		var c claims
		if err := token.Decode(&c); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got error %v, want one without the secret", payload, err)
		}
	}
}

func TestIDNamesTheSigningInput(t *testing.T) {
	a, err := Parse(compact(goodHeader, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	other := append(bytes.TrimSuffix(compact(goodHeader, `{}`), []byte(segment("signature"))), segment("another")...)
	b, err := Parse(other)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(compact(goodHeader, `{ }`))
	if err != nil {
		t.Fatal(err)
	}
	if a.ID() != b.ID() || a.ID() == c.ID() {
		t.Error("IDs differ for one signing input, or are equal for two")
	}
}

func TestNumericDate(t *testing.T) {
	for value, want := range map[string]struct {
		seconds       int64
		number, loose bool
	}{
		`1700000000`: {1700000000, true, true}, `1700000000.75`: {1700000000, true, true},
		`1.7e9`: {1700000000, true, true}, `0`: {0, true, true}, `253402300799`: {253402300799, true, true},
		`253402300800`: {}, `1e400`: {}, `-1`: {}, `-0`: {0, true, true}, `null`: {}, `true`: {}, `[]`: {}, ``: {},
		`"1700000000"`: {1700000000, false, true}, `"x"`: {}, `""`: {}, `"NaN"`: {}, `"Inf"`: {}, `"0x10"`: {}, `"1_0"`: {},
		`"null"`: {}, `"\"1\""`: {},
	} {
		v := jsontext.Value(value)
		date, ok := NumericDate(v)
		if ok != want.number || ok && date.Unix() != want.seconds {
			t.Errorf("NumericDate(%s): got %v, %v, want %d, %v", value, date, ok, want.seconds, want.number)
		}
		date, ok = LooseNumericDate(v)
		if ok != want.loose || ok && date.Unix() != want.seconds {
			t.Errorf("LooseNumericDate(%s): got %v, %v, want %d, %v", value, date, ok, want.seconds, want.loose)
		}
	}
}
