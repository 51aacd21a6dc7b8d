package signing

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.ErrUnexpectedEOF
}

// A call that names its session has its claim on it checked first: a CSRF value anybody can have.
func TestTheClaimIsCheckedBeforeTheBody(t *testing.T) {
	w := newWorld(t, nil)
	person, _ := w.opened(RS256, 1, "")
	stranger := visit(t, w.Service, w.accept(w.jwt(RS256, 1), "").RedirectURI)
	for _, path := range []string{"/client/sign", "/client/keep", "/client/answer", "/client/cancel"} {
		for name, c := range map[string]struct {
			by    *browser
			query string
			want  refused
		}{
			"another's session":  {stranger, "?id=" + person.view.ID, refused{404, "not_found", ""}},
			"no session of ours": {stranger, "?id=00000000000000000000000000000000", refused{404, "not_found", ""}},
			"no id":              {stranger, "?id=x", refused{404, "not_found", ""}},
			"an empty id":        {stranger, "?id=", refused{404, "not_found", ""}},
		} {
			t.Run(path+", "+name, func(t *testing.T) {
				r := c.by.request(path+c.query, nil)
				r.Body, r.ContentLength = io.NopCloser(untouched{t}), 1000
				mustRefuse(t, c.by.do(r), c.want)
			})
		}
	}
	two := person.call("/client/cancel?id="+person.view.ID, map[string]string{"id": "00000000000000000000000000000000"})
	mustRefuse(t, two, refused{400, "malformed", ""})
	mustBe(t, person.call("/client/cancel?id="+person.view.ID, map[string]string{"id": person.view.ID}), 200)
}

// standing is a body that does not come while somebody looks at how the pools stand.
type standing struct{ look func() }

func (s standing) Read([]byte) (int, error) {
	s.look()
	return 0, io.ErrUnexpectedEOF
}

// askOf sends a request to a service with the browser's cookies.
func (b *browser) askOf(service *Service, r *http.Request) *httptest.ResponseRecorder {
	there := *b
	there.at = service
	return there.do(r)
}

// Who holds what while its body arrives: calls do not draw on what signing requests need, and a claim or an access token
// leaves the share of its address.
func TestWhoHoldsWhat(t *testing.T) {
	w := newWorld(t, nil)
	person, _ := w.opened(RS256, 1, "")
	proving := w.restart(func(o *Options) {
		o.Access = func(*http.Request) (Caller, error) { return Caller{Client: acme}, nil }
	})
	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/signaturerequest", nil)
		r.Header.Set("Content-Type", "text/plain")
		return r
	}
	for name, c := range map[string]struct {
		service         *Service
		request         *http.Request
		requests, calls share.Use
	}{
		"a signing request":            {w.Service, request(), share.Use{Unproven: 16 << 10}, share.Use{}},
		"a signing request by a token": {proving, request(), share.Use{Proven: 16 << 10}, share.Use{}},
		"a call":                       {w.Service, person.request("/client/answer", nil), share.Use{}, share.Use{Unproven: 16 << 10}},
		"a call with a claim":          {w.Service, person.request("/client/answer?id="+person.view.ID, nil), share.Use{}, share.Use{Proven: 16 << 10}},
	} {
		t.Run(name, func(t *testing.T) {
			looked := false
			c.request.ContentLength = 1000
			c.request.Body = io.NopCloser(standing{func() {
				looked = true
				for _, held := range []struct {
					got, want share.Use
				}{{c.service.Requests.Pool.Use(), c.requests}, {c.service.Calls.Pool.Use(), c.calls}} {
					if held.got.Proven != held.want.Proven || held.got.Unproven != held.want.Unproven {
						t.Errorf("pool %s: got %d proven and %d unproven, want %d and %d", held.got.Name,
							held.got.Proven, held.got.Unproven, held.want.Proven, held.want.Unproven)
					}
				}
			}})
			mustRefuse(t, person.askOf(c.service, c.request), refused{400, "body", ""})
			if !looked {
				t.Error("the body was not read")
			}
		})
	}
}

// waitingKeys are a key set that does not come while it is asked for the kid "waiting".
type waitingKeys struct {
	KeySource
	asked chan struct{}
}

func (k waitingKeys) Key(ctx context.Context, client, kid string) (*jwks.Key, error) {
	if kid != "waiting" {
		return k.KeySource.Key(ctx, client, kid)
	}
	close(k.asked)
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// A request that waits for the key set of a client whose name it has taken gives way to the next, whichever of its places
// is wanted.
func TestWorkOnWhatIsUnprovenGivesWay(t *testing.T) {
	for name, full := range map[string]func(*Options){
		"working":  func(o *Options) { o.Working = intake.NewGroup("working", 1, 1) },
		"requests": func(o *Options) { o.Requests = intake.NewGroup("requests", MaxBody, MaxBody) },
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{})
			w := newWorld(t, func(o *Options) {
				o.Keys = waitingKeys{o.Keys, asked}
				full(o)
			})
			came := make(chan *httptest.ResponseRecorder, 1)
			stranger := sign(t, clientKey(), with(header(), "kid", "waiting"), w.claimsFor(RS256, 1))
			go func() { came <- w.post(w.Service, stranger, "") }()
			<-asked
			w.accept(w.jwt(RS256, 2), "")
			mustRefuse(t, <-came, refused{503, "unavailable", ""})
		})
	}
}
