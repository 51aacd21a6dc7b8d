package signing

import (
	"strings"
	"testing"
)

// The state is carried byte for byte where an address allows it (SIG-1.3, SIG-1.14).
func TestStateOf(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{"", ""},
		{"state", "state="},
		{"state=", "state="},
		{"state=e30=", "state=e30="},
		{"state=a+b/c==", "state=a+b/c=="},
		{"state=a%2Bb%2bc", "state=a%2Bb%2bc"},
		{"state=%", "state=%"},
		{"x=1&state=2&state=3", "state=2"},
		{"xstate=1&State=2", ""},
		{"state=a;b,c:d@e!$'()*~._-?/", "state=a;b,c:d@e!$'()*~._-?/"},
		{`state={"a":"b"}`, "state=%7B%22a%22:%22b%22%7D"},
		{"state=a#b<c>[d]|e\\f^g`h", "state=a%23b%3Cc%3E%5Bd%5D%7Ce%5Cf%5Eg%60h"},
		{"state=\xc3\xbc\x00\r\n", "state=%C3%BC%00%0D%0A"},
		{"state=" + strings.Repeat("s", MaxState), "state=" + strings.Repeat("s", MaxState)},
	} {
		got, err := stateOf(c.query)
		if err != nil || got != c.want {
			t.Errorf("%q: got %q, %v; want %q", c.query, got, err, c.want)
		}
	}
	if _, err := stateOf("state=" + strings.Repeat("s", MaxState+1)); err == nil || asError(err).Code != "state" {
		t.Errorf("a state over the limit: %v", err)
	}
}

// A webhook has it as whoever is called back reads it out of the address (SIG-3.6).
func TestReadableState(t *testing.T) {
	for carried, want := range map[string]string{
		"": "", "state=": "", "state=e30=": "e30=", "state=e30%3D": "e30=", "state=a+b%2Bc%20d": "a+b+c d", "state=%7B%22a%22:%22b%22%7D": `{"a":"b"}`,
		"state=%": "%", "state=50%25": "50%", "state=%zz%3D": "%zz%3D", "state=%FF%3D": "%FF%3D", "state=%C3%BC": "ü",
	} {
		if got := readableState(carried); got != want {
			t.Errorf("%s: got %q, want %q", carried, got, want)
		}
	}
}

// It goes from the request into redirectUri, and from there to the callback, unchanged; what stands in the page's
// own address counts where the client posted none.
func TestStateAllTheWay(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ posted, appended, want string }{
		{"?state=a+b/c%3D==", "", "&state=a+b/c%3D=="},
		{"?state=", "", "&state="},
		{"", "", ""},
		{"", "&state=own+1", "&state=own+1"},
		{"?state=posted", "&state=other", "&state=posted"},
	} {
		ticket := w.accept(w.jwt(RS256, 1), c.posted)
		w.clock.advance(1e9) // so that the next JWT is another
		address := ticket.RedirectURI + c.appended
		b := visit(t, w.Service, address)
		b.open(address)
		b.cancel()
		want := callback + "&token=" + ticket.Token + c.want + "&error=access_denied&error_description=cancelled_by_person&error_reason=cancelled_by_person"
		if b.view.RedirectURI != want {
			t.Errorf("posted %q: the way back is %q, not %q", c.posted, b.view.RedirectURI, want)
		}
	}
	mustRefuse(t, w.post(w.Service, w.jwt(RS256, 1), "?state="+strings.Repeat("s", MaxState+1)), refused{400, "state", ""})
}
