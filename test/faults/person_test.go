package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
)

// visit is a person's browser with the signing page of one request open.
type visit struct {
	w          *world
	http       *http.Client
	base, csrf string // base is the page's address
	id         string
	request    *request
}

var csrfMeta = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)

// view is how a session stands, as the page is told.
type view struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Total    int    `json:"total"`
	Signed   int    `json:"signed"`
	Redirect string `json:"redirectUri"`
	Reason   *struct {
		Code  string `json:"code"`
		Retry bool   `json:"retry"`
	} `json:"reason"`
}

// open loads the page as a redirect would and claims the session for this browser.
func (w *world) open(ctx context.Context, r *request) (*visit, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	through := *w.http
	through.Jar = jar
	base, query, _ := strings.Cut(r.page, "/client?")
	v := &visit{w: w, http: &through, base: base + "/client", request: r}
	page, err := w.insist(ctx, func() (answer, error) { return call(ctx, v.http, http.MethodGet, v.base+"?"+query, "") })
	if err != nil {
		return nil, err
	}
	found := csrfMeta.FindSubmatch(page.body)
	if found == nil {
		return nil, fmt.Errorf("the page: %s", page)
	}
	v.csrf = string(found[1])
	seen, err := v.post(ctx, "/open", map[string]string{"token": r.token, "query": query})
	if err != nil {
		return nil, err
	}
	v.id = seen.ID
	w.journal.reached(r, opened)
	return v, nil
}

// post makes one of the page's calls, again for as long as it gets no answer.
func (v *visit) post(ctx context.Context, path string, fields map[string]string) (view, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return view{}, err
	}
	return v.see(v.w.insist(ctx, func() (answer, error) {
		return call(ctx, v.http, http.MethodPost, v.base+path, string(body), "Content-Type", "application/json",
			"Origin", v.w.origin, "X-CSRF-Token", v.csrf)
	}))
}

// look asks how the session stands.
func (v *visit) look(ctx context.Context) (view, error) {
	return v.see(v.w.insist(ctx, func() (answer, error) {
		return call(ctx, v.http, http.MethodGet, v.base+"/session?id="+v.id, "")
	}))
}

func (v *visit) see(a answer, err error) (view, error) {
	if err != nil {
		return view{}, err
	}
	if a.status/100 != 2 {
		return view{}, fmt.Errorf("the page of a session that is %s: %s", v.request.stage, a)
	}
	var seen view
	err = json.Unmarshal(a.body, &seen)
	if err == nil && seen.State == "signed" && (seen.Signed != seen.Total || seen.Total != len(v.request.items)) {
		err = fmt.Errorf("half done: a session of %d items is signed with %d of %d", len(v.request.items), seen.Signed, seen.Total)
	}
	return seen, err
}

// cancel gives the request up, and tells how it then stands.
func (v *visit) cancel(ctx context.Context) error {
	if _, err := v.post(ctx, "/cancel", map[string]string{"id": v.id}); err != nil {
		return err
	}
	seen, err := v.look(ctx)
	if err == nil {
		err = v.over(seen)
	}
	return err
}

// sign presses "Sign", and again where the page says that this makes sense, until the session is over. A card that
// falls silent is left after a while.
func (v *visit) sign(ctx context.Context) error {
	for waited := 0; ; waited++ {
		seen, err := v.look(ctx)
		if err != nil {
			return err
		}
		switch {
		case seen.State == "opened":
			waited = 0
			if _, err := v.post(ctx, "/sign", map[string]string{"id": v.id}); err != nil {
				return err
			}
		case seen.State != "signing":
			return v.over(seen)
		case v.w.site.silent > 0 && waited > v.w.site.silent:
			return v.cancel(ctx)
		}
		if err := breathe(ctx); err != nil {
			return fmt.Errorf("the session stays %s: %w", seen.State, err)
		}
	}
}

// over takes down that the person was told of the end.
func (v *visit) over(seen view) error {
	told := map[string]stage{"signed": signed, "cancelled": cancelled, "failed": failed}
	end, known := told[seen.State]
	switch {
	case !known:
		return fmt.Errorf("the session is %s: %+v", seen.State, seen.Reason)
	case end == failed && !v.w.site.lying:
		return fmt.Errorf("an honest agent's session failed: %+v", seen.Reason)
	case end == signed && seen.Redirect == "":
		return errors.New("signed, and the browser is sent nowhere")
	}
	v.w.journal.reached(v.request, end)
	return nil
}
