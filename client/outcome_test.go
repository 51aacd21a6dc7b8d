package client

import (
	"net/url"
	"strings"
	"testing"
)

func TestReadReturn(t *testing.T) {
	for query, want := range map[string]Return{
		"token=t&state=s": {Token: "t"},
		"token=t&state=s&error=access_denied&error_description=wrong_user&error_reason=wrong_user": {"t", "access_denied", ReasonWrongUser},
		"token=t&error=request_expired":            {"t", "request_expired", ""},
		"token=t&error=%0d%0ax&error_reason=":      {"t", "  x", ""},
		"error_reason=" + strings.Repeat("x", 100): {"", "", strings.Repeat("x", 64)},
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := ReadReturn(values); got != want {
			t.Errorf("%s: got %+v, want %+v", query, got, want)
		}
	}
}
