package hostile

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// order is what the page gets to hand to the agent.
type order struct {
	Order struct {
		Job       string `json:"job"`
		Algorithm string `json:"algorithm"`
		Payloads  []struct {
			ID      string `json:"id"`
			Payload []byte `json:"payload"`
		} `json:"payloads"`
	} `json:"order"`
}

// brought is what the page brings of the agent's answer, as members of its call.
type brought func(a *Answer, members map[string]any)

// page opens a request in a browser that drives an agent on its own machine, has it begun, and brings what the agent
// answered.
type page struct {
	*gateway.Browser
	order order
}

func (p *page) bring(members map[string]any) gateway.Answer {
	body := map[string]any{"id": p.ID, "job": p.order.Order.Job}
	for name, value := range members {
		body[name] = value
	}
	return p.Call(http.MethodPost, "/answer", body)
}

// members are an honest answer as the page brings it.
func members(a *Answer) map[string]any {
	signatures := []map[string]string{}
	for _, item := range a.Items {
		signatures = append(signatures, map[string]string{"id": item.ID, "signature": encode(item.Signature)})
	}
	return map[string]any{"certificate": encode(a.Certificate), "signatures": signatures}
}

// twist changes one member of what the page brings.
func twist(name string, value any) brought {
	return func(_ *Answer, m map[string]any) { m[name] = value }
}

// twists are what a page, or somebody in its place, can bring beside wrong contents. Without a wanted state the call
// itself is refused, and the run goes on.
func twists() map[string]struct {
	twist brought
	want  Outcome
} {
	refused := Outcome{State: "signing"}
	return map[string]struct {
		twist brought
		want  Outcome
	}{
		"nothing":                         {func(_ *Answer, m map[string]any) { clear(m) }, Mismatch},
		"no signatures":                   {twist("signatures", []any{}), Mismatch},
		"null for signatures":             {twist("signatures", nil), Mismatch},
		"null for the certificate":        {twist("certificate", nil), Unreadable},
		"a text for signatures":           {twist("signatures", "all"), refused},
		"a number for the certificate":    {twist("certificate", 7), refused},
		"a certificate that is no base64": {twist("certificate", "?"), refused},
		"an unknown member":               {twist("verified", true), refused},
		"another job":                     {twist("job", "11111111-1111-4111-8111-111111111111"), refused},
		"a job that is none":              {twist("job", ""), refused},
		"a failure that nobody knows":     {twist("failure", "signed"), refused},
		"a failure beside signatures":     {twist("failure", "no_card"), Outcome{"opened", "no_card"}},
		"a failure of the service's own":  {twist("failure", "certificate_user"), refused},
		"too much":                        {twist("certificate", strings.Repeat("A", 2<<20)), refused},
		"a state of its own":              {twist("state", "signed"), refused},
	}
}

// TestWireB: what a page brings of an agent on its own machine releases nothing unless it is right, and is told
// (SIG-5, AGT-B). The page itself faces lying agents in test/browser.
func TestWireB(t *testing.T) {
	cards := NewCards(t)
	issuer := filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(issuer, cards.Issuer, 0o600); err != nil {
		t.Fatal(err)
	}
	key := gateway.NewKey(t, 4096)
	g := gateway.Start(t, fmt.Sprintf(`{
	auto_https disable_redirects
	grace_period 5s
	default_bind 127.0.0.1
	countersign {
		environment int
		store memory
		client acme {
			key acme-1 %s
			callback http://localhost:9/signed
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /s/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/s
			access open
			credential_management
			certificates {
				trust_pool file %s
				min_bits 2048
				crl {
					on_failure refuse
					hosts %s
				}
			}
		}
	}
}
`, key.Public, issuer, cards.Host))

	number := 0
	begin := func(t *testing.T) (gateway.System, gateway.Accepted, []gateway.Payload, *page, *Answer) {
		t.Helper()
		number++
		user := fmt.Sprintf("555086%06d", number)
		g.MustNotLog(user)
		s := gateway.System{Base: g.URL("GATEWAY", "/s"), ID: "acme", Kid: "acme-1", Key: key, Sub: user}
		payloads := gateway.Payloads("RS256", 3)
		accepted := s.Request(t, "RS256", "", payloads...)
		p := &page{Browser: gateway.Visit(t, accepted.RedirectURI)}
		p.Open()
		p.Call(http.MethodPost, "/sign", map[string]any{"id": p.ID}).JSON(t, &p.order)
		var ids []string
		var texts [][]byte
		for _, payload := range p.order.Order.Payloads {
			ids, texts = append(ids, payload.ID), append(texts, payload.Payload)
		}
		return s, accepted, payloads, p, cards.Honest(user, p.order.Order.Algorithm, ids, texts)
	}
	judge := func(t *testing.T, s gateway.System, accepted gateway.Accepted, p *page, want Outcome) {
		t.Helper()
		view := p.View()
		if view.State != want.State || view.ReasonCode() != want.Reason {
			t.Errorf("left %q, reason %+v; want %+v", view.State, view.Reason, want)
		}
		if want.Reason != "" && (view.Reason == nil || view.Reason.Title == "" || view.Reason.Text == "") {
			t.Errorf("the person is told %+v", view.Reason)
		}
		answer := s.Response(t, accepted.Token)
		if answer.Status == 200 || bytes.Contains(answer.Body, []byte(`"signatures"`)) || bytes.Contains(answer.Body, []byte(`"certificate"`)) {
			t.Errorf("something was released: %d %.200s", answer.Status, answer.Body)
		}
	}
	told := 0
	for _, lie := range Lies() {
		told++
		t.Run(lie.Name, func(t *testing.T) {
			s, accepted, _, p, honest := begin(t)
			lie.Tell(cards, honest)
			p.bring(members(honest))
			want := lie.Want
			if want == Stranger { // on the person's own machine a colleague's card is a mistake (decision 0003)
				want.State = "opened"
			}
			judge(t, s, accepted, p, want)
		})
	}
	for name, c := range twists() {
		told++
		t.Run(name, func(t *testing.T) {
			s, accepted, _, p, honest := begin(t)
			m := members(honest)
			c.twist(honest, m)
			p.bring(m)
			judge(t, s, accepted, p, c.want)
		})
	}
	if told < 50 {
		t.Errorf("%d behaviours only", told)
	}
	t.Run("an honest agent", func(t *testing.T) {
		s, accepted, payloads, p, honest := begin(t)
		p.bring(members(honest))
		s.Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
		p.bring(members(honest)) // once more changes nothing
		s.Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
	})
}
