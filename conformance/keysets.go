package conformance

import "net/http"

// keySetCases are about a published key set, which a client registers (TOK-3).
func keySetCases() []Case {
	fetch := Request{}
	return []Case{
		{Section: KeySets, Rule: "TOK-3.1", Request: fetch, Want: Want{Status: http.StatusOK, JSON: map[string]Matcher{"keys.0.kty": Is("RSA")}}},
		{Section: KeySets, Rule: "TOK-3.4", Request: fetch, Want: Want{Status: http.StatusOK, JSON: map[string]Matcher{
			"keys.0.kid": Present, "keys.0.n": Matches(`[A-Za-z0-9_-]{342,}`), "keys.0.e": Present,
		}}},
		{Section: KeySets, Rule: "TOK-3.5", Request: fetch, Ours: true, Want: Want{Status: http.StatusOK, JSON: map[string]Matcher{
			"keys.0.d": Absent, "keys.0.p": Absent, "keys.0.q": Absent, "keys.0.k": Absent,
		}}},
	}
}

// Cases returns all cases in the order in which they run.
func Cases() []Case {
	var all []Case
	for _, cases := range [][]Case{tokenCases(), userTokenCases(), signingCases(), barsCases(), keySetCases()} {
		all = append(all, cases...)
	}
	return all
}
