package cluster_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A client system whose requests time out sends the same JWT again and again, and the load balancer spreads them: there
// is one session, and everybody is told of it.
func TestOneSessionFromThousandRequests(t *testing.T) {
	c := newCluster(t, options{})
	jwt := c.jwt(t, gateway.Payloads("RS256", 3)...)
	answers := make([]gateway.Accepted, 1000)
	var others sync.Map // what else was answered, in the end
	together(len(answers), func(i int) {
		var status int
		var said string
		gateway.Eventually(3*patience, func() bool {
			var again bool
			status, said, again = c.try(i%2, jwt)
			return !again
		})
		if status != http.StatusOK || json.Unmarshal([]byte(said), &answers[i]) != nil {
			others.Store(status, said)
		}
	})
	others.Range(func(status, said any) bool {
		t.Errorf("answered %v: %v", status, said)
		return true
	})
	for i, a := range answers {
		if a != answers[0] || a.Token == "" {
			t.Fatalf("request %d was answered %+v, the first %+v", i, a, answers[0])
		}
	}
	if n := c.count("session/%"); n != "1" {
		t.Errorf("%s sessions in the database", n)
	}
}

// crowd makes connections that are not kept, as a thousand client systems do.
var crowd = &http.Client{Timeout: 2 * patience, Transport: gateway.Described(&http.Transport{DisableKeepAlives: true})}

// try sends a request to a node, and says if it is to be sent again, unchanged: when its connection was lost, as happens
// to a node with too much to do, and above a limit that holds.
func (c *cluster) try(node int, jwt string) (status int, said string, again bool) {
	response, err := crowd.Post(c.at(node, "/signing-service/signaturerequest"), "text/plain", strings.NewReader(jwt))
	if err != nil {
		return 0, err.Error(), true
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error(), true
	}
	return response.StatusCode, string(text), response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
}

// A hundred uses of one assertion at one time, over both nodes, give one access token, and it works on both.
func TestOneTokenFromOneAssertion(t *testing.T) {
	c := newCluster(t, options{})
	for range 3 {
		assertion := key.JWT(t, map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}, map[string]any{
			"iss": client, "sub": client, "aud": public + "/oauth2/token", "jti": rand.Text(), "exp": time.Now().Unix() + 240,
		})
		form := url.Values{
			"grant_type":            {"client_credentials"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {assertion},
		}.Encode()
		statuses := make([]int, 100)
		bodies := make([]string, len(statuses))
		together(len(statuses), func(i int) {
			for statuses[i] == 0 || statuses[i] == http.StatusServiceUnavailable {
				statuses[i], bodies[i] = post(t, c.at(i%2, "/oauth2/token"), form)
			}
		})
		var tokens []string
		for i, status := range statuses {
			switch {
			case status == http.StatusOK:
				_, rest, _ := strings.Cut(bodies[i], `"access_token":"`)
				token, _, _ := strings.Cut(rest, `"`)
				tokens = append(tokens, token)
			case status != http.StatusBadRequest || !strings.Contains(bodies[i], "Non-unique 'jti' claim"):
				t.Errorf("use %d was answered %d %s", i, status, bodies[i])
			}
		}
		if len(tokens) != 1 {
			t.Fatalf("%d tokens from one assertion", len(tokens))
		}
		for node := range c.nodes {
			answer := gateway.Get(t, c.at(node, "/api/x"), http.Header{"Authorization": {"Bearer " + tokens[0]}})
			if answer.Status != http.StatusOK || string(answer.Body) != "hello "+client {
				t.Errorf("node %d takes the token with %d %s", node, answer.Status, answer.Body)
			}
		}
	}
}

func post(t *testing.T, address, form string) (status int, body string) {
	response, err := http.Post(address, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Error(err)
		return -1, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(text)
}

// together runs a function n times at once, and waits for all.
func together(n int, run func(i int)) {
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-begin
			run(i)
		})
	}
	close(begin)
	all.Wait()
}
