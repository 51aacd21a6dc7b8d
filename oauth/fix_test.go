package oauth

import "testing"

// Every row has a fix of its own.
func TestEveryRowHasAFix(t *testing.T) {
	seen := map[string]row{}
	for _, r := range []row{row1, row2, row4, row5, row6, row7, row8, row9, row10, row11, row12, row13, row14, row16, row17, row18, row20, row21, row22, row23, row24, row25, {429, "", ""}, row27, {503, "", ""}, {418, "", ""}} {
		fix := (&TokenError{Status: r.status, Code: r.code, Description: r.description}).Fix()
		if other, twice := seen[fix]; twice || fix == "" {
			t.Errorf("%q and %q have the same fix: %s", r.description, other.description, fix)
		}
		seen[fix] = r
	}
}
