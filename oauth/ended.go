package oauth

import (
	"context"
	"encoding/binary"
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

// The records that tell of a logout: of one of the provider's sessions, or of all that a person had until an instant,
// which is the record's value.
func endedSessionKey(issuer, sid string) string { return endedPrefix + digest("sid", issuer, sid) }
func endedPersonKey(issuer, user string) string { return endedPrefix + digest("person", issuer, user) }

// markEnded keeps what a logout token says, against sign-ins that begin while it is obeyed or afterwards.
func (o *Options) markEnded(ctx context.Context, token Logout) error {
	key := endedSessionKey(token.Issuer, token.SID)
	if token.SID == "" {
		key = endedPersonKey(token.Issuer, token.User)
	}
	found, err := o.Store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("looking for an earlier logout: %w", err)
	}
	until := token.Issued.Unix()
	if token.Issued.IsZero() {
		until = o.Now().Unix()
	}
	value := binary.AppendVarint(nil, max(until, endedUntil(found[0])))
	record := &store.Record{Key: key, Value: value, Expires: o.Now().Add(endedRemembered)}
	if err := o.Store.Commit(ctx, store.Batch{Then: []store.Op{{Put: record}}}); err != nil {
		return fmt.Errorf("keeping a logout: %w", err)
	}
	return nil
}

// endedUntil is the instant, in seconds since 1970, until which a person's sign-ins are ended; the smallest there is
// without a record.
func endedUntil(record store.Record) int64 {
	if record.Version == 0 {
		return -1 << 62
	}
	until, _ := binary.Varint(record.Value)
	return until
}

// notEnded is what must hold when a sign-in is kept: that the provider has not ended it. An errEnded says that it has.
func (o *Options) notEnded(ctx context.Context, person Person) ([]store.Check, error) {
	keys := []string{endedPersonKey(person.Issuer, person.User)}
	if person.SID != "" {
		keys = append(keys, endedSessionKey(person.Issuer, person.SID))
	}
	found, err := o.Store.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("looking for a logout: %w", err)
	}
	if person.Issued.Unix() <= endedUntil(found[0]) || len(found) > 1 && found[1].Version != 0 {
		return nil, errEnded
	}
	checks := make([]store.Check, len(found))
	for i := range found {
		checks[i] = store.Check{Key: keys[i], Version: found[i].Version}
	}
	return checks, nil
}

// endedMeanwhile turns a conflict with a logout into errEnded.
func endedMeanwhile(err error) error {
	if conflict, ok := errors.AsType[*store.Conflict](err); ok && strings.HasPrefix(conflict.Check.Key, endedPrefix) {
		return errEnded
	}
	return err
}
