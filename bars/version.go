package bars

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Version is a version of the standard.
type Version [3]int

// Which version a request without one has, and from which on there are document references (BAR-5.18, BAR-5.20).
var (
	versionDefault   = Version{1, 0, 0}
	versionDocuments = Version{1, 1, 0}
)

// String returns the version as in a header, such as 1.1.0.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// versionParameter matches the parameter of a media type; more digits than these are no version.
var versionParameter = regexp.MustCompile(`(?i)^\s*version\s*=\s*"?([0-9]{1,6})(?:\.([0-9]{1,6}))?(?:\.([0-9]{1,6}))?"?\s*$`)

// VersionOf returns a request's version: the highest of its headers Accept, or 1.0.0 (BAR-5.20).
func VersionOf(header http.Header) Version {
	highest, found := versionDefault, false
	for _, value := range header.Values("Accept") {
		for parameter := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ',' || c == ';' }) {
			match := versionParameter.FindStringSubmatch(parameter)
			if match == nil {
				continue
			}
			var version Version
			for i, part := range match[1:] {
				version[i], _ = strconv.Atoi(part) // digits, or empty and therefore 0
			}
			if !found || slices.Compare(version[:], highest[:]) > 0 {
				highest, found = version, true
			}
		}
	}
	return highest
}

// checkVersion refuses document references to senders of a version that does not have them (BAR-5.18).
func checkVersion(r *http.Request) *Outcome {
	if r.URL.Path != "/DocumentReference" && !strings.HasPrefix(r.URL.Path, "/DocumentReference/") {
		return nil
	}
	if version := VersionOf(r.Header); slices.Compare(version[:], versionDocuments[:]) < 0 {
		return notAcceptable.Saying("/DocumentReference needs Accept: application/fhir+json; version=%s or higher; the request's version is %s.", versionDocuments, version)
	}
	return nil
}
