package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// LevelApplication is the level of a token that an application holds without a user.
const LevelApplication = "level3"

// remembered is how long a token is known as expired after it expired.
const remembered = 10 * time.Minute

// Grant is what a token stands for.
type Grant struct {
	Client   string // the client id
	User     string // the user who is present; empty: none
	Level    string // LevelApplication, or a user's authentication level such as aal3
	Family   string // the sign-in that a user's token comes of; empty: none
	Scopes   []string
	Products []string
	Issued   time.Time
	Expires  time.Time // the token is no longer valid at this time
}

// grantFormat begins a Grant as it is kept. What follows is read at every call that shows a token, so it is not
// JSON but texts, lists and instants one after the other, each text and list with its length before it. One of a
// family has that at its end.
const (
	grantFormat  = 1
	familyFormat = 2
)

// record is what is kept for a token. It outlives the token, so that an expired one is told from one that
// never was.
func (g Grant) record(token string) *store.Record {
	value := []byte{grantFormat}
	for _, text := range []string{g.Client, g.User, g.Level} {
		value = appendText(value, text)
	}
	for _, list := range [][]string{g.Scopes, g.Products} {
		value = binary.AppendUvarint(value, uint64(len(list)))
		for _, text := range list {
			value = appendText(value, text)
		}
	}
	for _, instant := range []time.Time{g.Issued, g.Expires} {
		value = binary.AppendVarint(value, instant.UnixMilli())
	}
	if g.Family != "" {
		value[0] = familyFormat
		value = appendText(value, g.Family)
	}
	return &store.Record{Key: tokenKey(token), Value: value, Expires: g.Expires.Add(remembered)}
}

func appendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

func parseGrant(value []byte) (Grant, error) {
	if len(value) == 0 || value[0] != grantFormat && value[0] != familyFormat {
		return Grant{}, errGrant
	}
	r := grantReader{rest: value[1:]}
	g := Grant{Client: r.text(), User: r.text(), Level: r.text(), Scopes: r.list(), Products: r.list(), Issued: r.instant(), Expires: r.instant()}
	if value[0] == familyFormat {
		g.Family = r.text()
	}
	if r.bad || len(r.rest) > 0 || (value[0] == familyFormat) != (g.Family != "") {
		return Grant{}, errGrant
	}
	return g, nil
}

var errGrant = errors.New("the record of a token cannot be read")

// grantReader takes a kept grant apart. After the first fault everything it returns is nothing.
type grantReader struct {
	rest []byte
	bad  bool
}

// count reads a length, of what needs at least a byte for each of its parts.
func (r *grantReader) count() int {
	n, size := binary.Uvarint(r.rest)
	if r.bad || size <= 0 || n > store.MaxValue || int(n) > len(r.rest)-size { //nolint:gosec // MaxValue at most
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return int(n) //nolint:gosec // MaxValue at most
}

func (r *grantReader) text() string {
	n := r.count()
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func (r *grantReader) list() []string {
	var list []string
	for range r.count() {
		list = append(list, r.text())
	}
	return list
}

func (r *grantReader) instant() time.Time {
	ms, size := binary.Varint(r.rest)
	if r.bad || size <= 0 {
		r.bad = true
		return time.Time{}
	}
	r.rest = r.rest[size:]
	return time.UnixMilli(ms).UTC()
}

// tokenKey is where a token's record is. The token itself is nowhere.
func tokenKey(token string) string { return secretKey("token/", token) }

// secretKey is where what a secret stands for is kept: by its hash alone.
func secretKey(kind, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return kind + base64.RawURLEncoding.EncodeToString(sum[:])
}

// tokenName names a token in the log: the beginning of its hash.
func tokenName(token string) string { return tokenKey(token)[len("token/"):][:12] }
