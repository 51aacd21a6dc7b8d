package oauth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// endedRemembered is how long it is known that the provider ended a sign-in: longer than its ID tokens can be good for.
const endedRemembered = 24 * time.Hour

// errEnded is that the provider has ended the sign-in that an ID token is about. The ID token itself is good until it
// expires, so that without this a client could exchange it again after the logout, and a code that was on its way
// would outlive it.
var errEnded = errors.New("the provider has ended this sign-in")

const endedPrefix = "ended/"

// endedKey is where it is kept that one of the provider's sessions is over.
func endedKey(issuer, sid string) string { return endedPrefix + digest("sid", issuer, sid) }

// markEnded keeps that a session is over, against sign-ins that begin while it is ended or afterwards.
func (o *Options) markEnded(ctx context.Context, issuer, sid string) error {
	record := &store.Record{Key: endedKey(issuer, sid), Value: []byte{1}, Expires: o.Now().Add(endedRemembered)}
	if err := o.Store.Commit(ctx, store.Batch{Then: []store.Op{{Put: record}}}); err != nil {
		return fmt.Errorf("keeping a logout: %w", err)
	}
	return nil
}

// notEnded is what must hold when a sign-in is kept: that the provider has not ended it. An errEnded says that it has.
func (o *Options) notEnded(ctx context.Context, person Person) ([]store.Check, error) {
	if person.SID == "" { // no logout can name it
		return nil, nil
	}
	found, err := o.Store.Get(ctx, endedKey(person.Issuer, person.SID))
	if err != nil {
		return nil, fmt.Errorf("looking for a logout: %w", err)
	}
	if found[0].Version != 0 {
		return nil, errEnded
	}
	return []store.Check{{Key: found[0].Key}}, nil
}

// endedMeanwhile turns a conflict with a logout into errEnded.
func endedMeanwhile(err error) error {
	if conflict, ok := errors.AsType[*store.Conflict](err); ok && strings.HasPrefix(conflict.Check.Key, endedPrefix) {
		return errEnded
	}
	return err
}
