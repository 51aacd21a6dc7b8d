package signing

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// stateOf takes the caller's state out of a raw query, as "state=…", byte for byte: it is opaque, often base64
// with a bare = or +, and goes into two addresses as it came (SIG-1.3, SIG-1.14). Only what could
// not stand in an address is percent-encoded. Without a state it is empty.
func stateOf(rawQuery string) (string, error) {
	raw, found := rawParameter(rawQuery, "state")
	if !found {
		return "", nil
	}
	if len(raw) > MaxState {
		return "", badRequest("state", "state has at most %d bytes", MaxState)
	}
	return "state=" + legalInQuery(raw), nil
}

// readableState is a "state=…" as whoever is called back reads it out of the query, without percent-encoding; a + stays
// one (SIG-3.6). What is no text without it stays as it came.
func readableState(carried string) string {
	raw := strings.TrimPrefix(carried, "state=")
	decoded, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(decoded) {
		return raw
	}
	return decoded
}

// rawParameter returns the first value of a name in a query, still encoded.
func rawParameter(rawQuery, name string) (string, bool) {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// legalInQuery percent-encodes the bytes that RFC 3986 does not allow in a query, and leaves all others.
func legalInQuery(raw string) string {
	const legal = "!$'()*+,-./:;=?@_~%"
	var out strings.Builder
	for i := range len(raw) {
		c := raw[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(legal, c) >= 0:
			out.WriteByte(c)
		default:
			const digits = "0123456789ABCDEF"
			out.WriteByte('%')
			out.WriteByte(digits[c>>4])
			out.WriteByte(digits[c&15])
		}
	}
	return out.String()
}
