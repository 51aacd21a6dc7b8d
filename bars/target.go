package bars

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// HeaderTarget is the header that names the receiver.
const HeaderTarget = "NHSD-Target-Identifier"

// maxTarget is the largest header accepted, in bytes.
const maxTarget = 4 << 10

// Target identifies a receiver, such as the system https://fhir.nhs.uk/Id/dos-service-id and the value 2000072489.
// Both are case sensitive.
type Target struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// ParseTarget parses a request's target: standard base64 of {"system":"…","value":"…"} (BAR-1.5). Other members are
// ignored.
func ParseTarget(header http.Header) (Target, *Outcome) {
	values := header.Values(HeaderTarget)
	switch {
	case len(values) > 1:
		return Target{}, badTarget.With("%d headers", len(values))
	case len(values) == 0 || strings.TrimSpace(values[0]) == "":
		return Target{}, badTarget.With("no header")
	case forOneHop(header, HeaderTarget):
		return Target{}, badTarget.With("the header Connection names it, so it would not be forwarded")
	case len(values[0]) > maxTarget:
		return Target{}, badTarget.With("%d bytes", len(values[0]))
	}
	text, err := base64.StdEncoding.Strict().DecodeString(values[0])
	if err != nil {
		return Target{}, badTarget.With("not standard base64, with padding")
	}
	if !jsontext.Value(text).IsValid() {
		return Target{}, badTarget.With("base64 of something other than JSON")
	}
	var target Target
	if err := json.Unmarshal(text, &target); err != nil {
		return Target{}, bareTarget.With("not an object with the strings system and value")
	}
	if target.System == "" || target.Value == "" {
		return Target{}, bareTarget.With("system or value is empty")
	}
	return target, nil
}

// Header returns the target as a header value.
func (t Target) Header() string {
	text, err := json.Marshal(t)
	if err != nil { // invalid UTF-8, which no header can hold
		return ""
	}
	return base64.StdEncoding.EncodeToString(text)
}
