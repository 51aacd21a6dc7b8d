package journey_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A client that timed out sends the same JWT again and gets the same token, whatever became of the session
// (SIG-1.15).
func TestTheSameRequestMakesNoSecondSession(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	again := func(t *testing.T, jwt, state string, first gateway.Accepted) {
		t.Helper()
		answer := s.Post(t, jwt, state)
		if answer.Status != http.StatusOK {
			t.Fatalf("the same request again: %d %s", answer.Status, answer.Body)
		}
		var second gateway.Accepted
		answer.JSON(t, &second)
		if second != first {
			t.Errorf("got %+v, and before %+v", second, first)
		}
	}
	post := func(t *testing.T, jwt, state string) gateway.Accepted {
		t.Helper()
		answer := s.Post(t, jwt, state)
		if answer.Status != http.StatusOK {
			t.Fatalf("%d %s", answer.Status, answer.Body)
		}
		var first gateway.Accepted
		answer.JSON(t, &first)
		return first
	}

	t.Run("through the life of a session", func(t *testing.T) {
		payloads := gateway.Payloads("RS256", 2)
		jwt := s.JWT(t, "RS256", payloads...)
		first := post(t, jwt, "e30=")
		again(t, jwt, "e30=", first)
		browser := gateway.Visit(t, first.RedirectURI)
		browser.Open()
		again(t, jwt, "e30=", first)
		browser.Sign()
		browser.Await("the end", patience, gateway.View.Over)
		again(t, jwt, "e30=", first)
		s.Fetch(t, first.Token).Verify(t, "RS256", payloads)
	})
	t.Run("another state", func(t *testing.T) {
		jwt := s.JWT(t, "RS256", gateway.Payloads("RS256", 1)...)
		post(t, jwt, "one")
		for _, state := range []string{"two", "", "on%65"} {
			mustRefuse(t, s.Post(t, jwt, state), refusal{409, "replayed", ""})
		}
	})
	t.Run("after it was cancelled", func(t *testing.T) {
		jwt := s.JWT(t, "RS256", gateway.Payloads("RS256", 1)...)
		first := post(t, jwt, "")
		browser := gateway.Visit(t, first.RedirectURI)
		browser.Open()
		browser.Cancel()
		again(t, jwt, "", first)
		mustRefuse(t, s.Response(t, first.Token), refusal{status: 410})
	})
	t.Run("at the same time", func(t *testing.T) {
		jwt := s.JWT(t, "RS256", gateway.Payloads("RS256", 1)...)
		tokens := make([]string, 8)
		var group sync.WaitGroup
		for i := range tokens {
			group.Go(func() {
				answer := s.Post(t, jwt, "")
				if answer.Status == http.StatusOK {
					var a gateway.Accepted
					answer.JSON(t, &a)
					tokens[i] = a.Token
				}
			})
		}
		group.Wait()
		for _, token := range tokens {
			if token == "" || token != tokens[0] {
				t.Fatalf("tokens %v", tokens)
			}
		}
	})
	t.Run("and a new JWT makes a new one", func(t *testing.T) {
		claims := s.Claims("RS256", gateway.Payloads("RS256", 1)...)
		one := post(t, s.Key.JWT(t, s.Header(), claims), "")
		two := post(t, s.Key.JWT(t, s.Header(), gateway.With(claims, "jti", "2")), "")
		if one.Token == two.Token {
			t.Error("two requests, one token")
		}
	})
}
