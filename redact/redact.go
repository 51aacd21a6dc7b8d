// Package redact removes secrets and personal data from what a gateway logs about requests: from addresses, header fields
// and texts, for access logs, error logs and traces.
//
// It cannot search for known secrets, because it knows none. An address keeps its path, except for segments that may be a
// token, a code or a person's number, and the names of its parameters. Parameter values are removed, except for a few
// that are words of a protocol. A header field is removed entirely if its name says that it holds a secret.
//
// A hidden UUID is written as "…" and the first half of its SHA-256, which is how the gateway's own log names a session.
// So lines about one session can still be correlated.
package redact

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// hidden replaces what was removed.
const hidden = "…"

// whole replaces the value of a header field, in Caddy's own word.
const whole = "REDACTED"

// URI returns a request target, or an absolute URL, without secrets.
func URI(address string) string {
	rest, fragment, hasFragment := strings.Cut(address, "#")
	path, query, hasQuery := strings.Cut(rest, "?")
	var out strings.Builder
	if scheme := absolute.FindString(path); scheme != "" {
		host, after, hasPath := strings.Cut(path[len(scheme):], "/")
		out.WriteString(scheme + authority(host))
		if path = after; hasPath {
			path = "/" + path
		}
	}
	out.WriteString(Path(path))
	if hasQuery {
		out.WriteString("?" + Query(query))
	}
	if hasFragment {
		out.WriteString("#")
		if fragment != "" {
			out.WriteString(hidden)
		}
	}
	return out.String()
}

var absolute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// authority hides the user and password before a host.
func authority(host string) string {
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		return hidden + host[at:]
	}
	if named := isUUID(host); named != "" {
		return named
	}
	return host
}

// Path returns a path without the segments that may be a secret or identify a person.
func Path(path string) string {
	if len(path) < shortest {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		after := ""
		if i > 0 {
			after = segments[i-1]
		}
		segments[i] = pathSegment(segment, after)
	}
	return strings.Join(segments, "/")
}

// shortest is the least length of a secret: that of an NHS number.
const shortest = 10

// row matches the characters of a token, a code or a JWT.
const row = `[A-Za-z0-9_=+.~%-]{20,}`

var (
	numbers     = regexp.MustCompile(`(?:^|[^0-9])[0-9]{10,12}(?:[^0-9]|$)`) // of a patient or a user, such as 9990548609 in nhs:9990548609
	apart       = strings.NewReplacer(" ", "", "-", "", "+", "")             // as people write them: 999 054 8609
	opaque      = regexp.MustCompile("^" + row + "$")
	runs        = regexp.MustCompile(row) // parts of a segment between punctuation, as in ;token=…
	wholeNumber = regexp.MustCompile(`^[0-9]{10,12}$`)
	words       = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,40}$`)
)

func pathSegment(segment, after string) string {
	plain, err := url.PathUnescape(segment)
	if err != nil {
		plain = segment
	}
	switch {
	case plain == "":
		return segment
	case isUUID(plain) != "":
		return isUUID(plain)
	case after == "signatureresponse", numbers.MatchString(plain), wholeNumber.MatchString(apart.Replace(plain)):
		return hidden
	}
	for _, run := range runs.FindAllString(plain, -1) {
		if strings.ContainsAny(run, "0123456789") && (isUUID(run) != "" || !isName(run)) {
			return hidden
		}
	}
	return segment
}

// isName reports whether a text consists of words, like the names of files and versions: no part between dashes, dots and
// underscores mixes letters and digits at length.
func isName(text string) bool {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune("-._", r) }) {
		if len(part) >= 8 && strings.ContainsAny(part, "0123456789") || len(part) > 24 {
			return false
		}
	}
	return true
}

// isUUID returns the replacement of a UUID, or of the base64 of one; "" for anything else.
func isUUID(text string) string {
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil && len(decoded) == 36 {
		text = string(decoded)
	}
	token, err := uuid.Parse(text)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(token.String()))
	return hidden + hex.EncodeToString(sum[:16])
}

// kept lists parameters whose values are words of a protocol, or names that the gateway's own log has too.
var kept = map[string]*regexp.Regexp{
	"mock": protocol, "error": protocol, "response_type": protocol, "grant_type": protocol, "id": sessions, "session": sessions,
}

var (
	protocol = regexp.MustCompile(`^[a-z_]{1,40}$`)
	sessions = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// Query returns a query with the names of its parameters but without their values.
func Query(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, hasValue := strings.Cut(pair, "=")
		if !words.MatchString(name) || opaque.MatchString(name) && strings.ContainsAny(name, "0123456789") {
			name = hidden
		}
		if pairs[i] = name; hasValue {
			pairs[i] += "=" + parameter(name, value)
		}
	}
	return strings.Join(pairs, "&")
}

func parameter(name, value string) string {
	if pattern, known := kept[name]; value == "" || known && pattern.MatchString(value) {
		return value
	}
	if plain, err := url.QueryUnescape(value); err == nil && isUUID(plain) != "" {
		return isUUID(plain)
	}
	return hidden
}

// Words in the names of header fields that hold a secret or identify a person.
var secretWords = []string{
	"auth", "cookie", "token", "key", "secret", "csrf", "xsrf", "session", "password", "passwd", "credential", "signature", "jwt", "assertion", "user",
	"identity", "subject", "person", "patient", "practitioner", "nhs-number", "nhsnumber",
}

// Header fields with such a word that hold neither.
var harmless = map[string]bool{
	"www-authenticate": true, "proxy-authenticate": true, "user-agent": true, "x-csrf-protection": true,
	"nhsd-end-user-organisation": true, "nhsd-end-user-organisation-ods": true, "idempotency-key": true, "upgrade-insecure-requests": true,
	"sec-fetch-user": true,
}

// Header returns the loggable value of a header field.
func Header(name, value string) string {
	lower := strings.ToLower(name)
	switch {
	case harmless[lower]:
		return Text(value)
	case lower == "location", lower == "content-location", strings.HasPrefix(lower, "referer"), strings.HasSuffix(lower, "-uri"), strings.HasSuffix(lower, "-url"):
		return URI(value)
	}
	for _, word := range secretWords {
		if strings.Contains(lower, word) {
			return whole
		}
	}
	return Text(value)
}

// secretNames are form parameters and JSON members that hold secrets.
const secretNames = `(?:access_|refresh_|id_|subject_)?token|code|state|nonce|client_secret|secret|status_key|(?:client_)?assertion|code_verifier|password|api_?key`

var (
	jwts    = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)*`)
	schemes = regexp.MustCompile(`(?i)\b(bearer|basic|digest|dpop) +[A-Za-z0-9+/=._~-]{8,}`)
	targets = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]+|/[^\s"'<>?#]*[?#][^\s"'<>]*|/?(?:[\w.-]*/)*signatureresponse/[^\s"'<>]+`)
	forms   = regexp.MustCompile(`(?i)\b(` + secretNames + `)=[^&\s"'<>]+`)
	members = regexp.MustCompile(`(?i)("(?:` + secretNames + `)"\s*:\s*)"(?:[^"\\]|\\.)*"`)
)

// Text returns a text without the secrets that have a recognisable form: JWTs, credentials of an Authorization field,
// parameters of URLs and forms, members of JSON objects.
func Text(text string) string {
	if len(text) < shortest {
		return text
	}
	if strings.Contains(text, "://") || strings.ContainsAny(text, "?#") || strings.Contains(text, "signatureresponse/") {
		text = targets.ReplaceAllStringFunc(text, URI)
	}
	if strings.Contains(text, "eyJ") {
		text = jwts.ReplaceAllString(text, hidden)
	}
	if strings.ContainsRune(text, ' ') {
		text = schemes.ReplaceAllString(text, "$1 "+hidden)
	}
	if strings.ContainsRune(text, '=') {
		text = forms.ReplaceAllString(text, "$1="+hidden)
	}
	if strings.ContainsRune(text, ':') && strings.ContainsRune(text, '"') {
		text = members.ReplaceAllString(text, `$1"`+hidden+`"`)
	}
	return text
}
