package bars

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// HeaderTarget is the header that says who receives.
const HeaderTarget = "NHSD-Target-Identifier"

// maxTarget bounds the header, in bytes.
const maxTarget = 4 << 10

// Target identifies a receiver, such as the system https://fhir.nhs.uk/Id/dos-service-id and the value 2000072489.
// Both are compared letter for letter.
type Target struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// ParseTarget reads a request's target: standard base64 of {"system":"…","value":"…"} (BAR-1.5). Members
// besides those two are passed over.
func ParseTarget(header http.Header) (Target, *Outcome) {
	values := header.Values(HeaderTarget)
	switch {
	case len(values) > 1:
		return Target{}, badTarget.With("%d headers", len(values))
	case len(values) == 0 || strings.TrimSpace(values[0]) == "":
		return Target{}, badTarget.With("no header")
	case forOneHop(header, HeaderTarget):
		return Target{}, badTarget.With("named by Connection, so that it would not be sent on")
	case len(values[0]) > maxTarget:
		return Target{}, badTarget.With("%d bytes", len(values[0]))
	}
	text, err := base64.StdEncoding.Strict().DecodeString(values[0])
	if err != nil {
		return Target{}, badTarget.With("not standard base64, with padding")
	}
	if !jsontext.Value(text).IsValid() {
		return Target{}, badTarget.With("base64 of something else than JSON")
	}
	var target Target
	if err := json.Unmarshal(text, &target); err != nil {
		return Target{}, bareTarget.With("not an object with a system and a value, which are strings")
	}
	if target.System == "" || target.Value == "" {
		return Target{}, bareTarget.With("without a system or a value")
	}
	return target, nil
}

// Header is the target as the header has it.
func (t Target) Header() string {
	text, err := json.Marshal(t)
	if err != nil { // invalid UTF-8, which no header can say
		return ""
	}
	return base64.StdEncoding.EncodeToString(text)
}
