package oauth

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// refreshWindow is how long a sign-in can be refreshed; the window is not restarted (TOK-5.1).
const refreshWindow = 43199 * time.Second

// family is one sign-in and all tokens that come of it, which are good for as long as its record is there: one
// deletion ends them all, on every node.
//
//	callback or exchange ──▶ there ──12 h and the last token's life──▶ gone
//	                           └─ a used code or refresh token comes again, or the provider logs out ─▶ gone
type family struct {
	id      string
	version store.Version

	Client string    `json:"client"`
	Issuer string    `json:"issuer"`
	User   string    `json:"user"`
	SID    string    `json:"sid"` // the provider's session, or the family's id where it tells none
	Level  int       `json:"level"`
	Flow   string    `json:"flow"` // combined, separate or page
	Ends   time.Time `json:"ends"` // of its refresh window
	Count  int       `json:"count"`
	Info   []byte    `json:"info,omitempty"` // what /userinfo answers
}

// The ways to a family. One of a page has no tokens.
const (
	flowCombined = "combined"
	flowSeparate = "separate"
	flowPage     = "page"
)

func familyKey(id string) string { return "family/" + id }

// sidIndex is the name under which the families of one of the provider's sessions are found.
func sidIndex(issuer, sid string) string { return "sid/" + digest(issuer, sid) }

// beginFamily is a family that begins, and the batch that keeps it: unless the provider ends the sign-in meanwhile,
// or has already.
func (o *Options) beginFamily(ctx context.Context, client, flow string, person Person) (*family, store.Batch, error) {
	f, err := o.newFamily(client, flow, person)
	if err != nil {
		return nil, store.Batch{}, err
	}
	holds, err := o.notEnded(ctx, person)
	if err != nil {
		return nil, store.Batch{}, err
	}
	kept, err := f.put()
	return f, store.Batch{If: append(holds, store.Check{Key: familyKey(f.id)}), Then: kept}, err
}

// newFamily makes a family. Nothing is kept yet.
func (o *Options) newFamily(client, flow string, person Person) (*family, error) {
	id, err := newToken(o.Rand)
	if err != nil {
		return nil, err
	}
	f := &family{
		id: id, Client: client, Issuer: person.Issuer, User: person.User, SID: person.SID, Level: person.Level, Flow: flow,
		Ends: o.Now().Add(refreshWindow), Info: person.Info,
	}
	if f.SID == "" {
		f.SID = id
	}
	return f, nil
}

// put are the changes that keep the family: its record, and one by which its provider's session finds it.
func (f *family) put() ([]store.Op, error) {
	record, err := f.record()
	if err != nil {
		return nil, err
	}
	bySID := &store.Record{Key: f.sidKey(), Value: []byte(f.id), Expires: record.Expires, Index: sidIndex(f.Issuer, f.SID)}
	return []store.Op{{Put: record}, {Put: bySID}}, nil
}

func (f *family) sidKey() string { return "family-sid/" + f.id }

func (f *family) record() (*store.Record, error) {
	value, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("keeping a sign-in: %w", err)
	}
	return &store.Record{Key: familyKey(f.id), Value: value, Expires: f.Ends.Add(tokenLife)}, nil
}

func parseFamily(record store.Record) (*family, error) {
	f := &family{id: record.Key[len("family/"):], version: record.Version}
	if err := json.Unmarshal(record.Value, f); err != nil {
		return nil, fmt.Errorf("the record of a sign-in cannot be read: %w", errGrant)
	}
	return f, nil
}

// family finds one, or nil.
func (o *Options) family(ctx context.Context, id string) (*family, error) {
	found, err := o.Store.Get(ctx, familyKey(id))
	if err != nil || found[0].Version == 0 {
		return nil, err
	}
	return parseFamily(found[0])
}

// revoke ends families. What is gone already is no error.
func (o *Options) revoke(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		err := o.Store.Commit(ctx, store.Batch{Then: []store.Op{{Delete: familyKey(id)}, {Delete: (&family{id: id}).sidKey()}}})
		if err != nil {
			return fmt.Errorf("ending a sign-in: %w", err)
		}
	}
	return nil
}

// grant is what a token of the family stands for.
func (f *family) grant(client Client, now time.Time, life time.Duration) Grant {
	return Grant{
		Client: f.Client, User: f.User, Level: LevelOf(f.Level), Family: f.id,
		Scopes: userScopes(client.Scopes, f.Level), Products: client.Products, Issued: now, Expires: now.Add(life),
	}
}

// begun is when its first token was issued.
func (f *family) begun() time.Time { return f.Ends.Add(-refreshWindow) }

// person names the user in the audit log without saying who it is.
func (f *family) person() string { return digest("person", f.Issuer, f.User)[:12] }
