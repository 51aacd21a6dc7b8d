package webhook

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/store"
)

func TestDeliversOnceAndSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		w.tell("d1", "acme")
		synctest.Wait()
		got := w.receivers.got()
		if len(got) != 1 {
			t.Fatalf("%d arrivals, want 1", len(got))
		}
		event, err := client.VerifyWebhook(got[0].header, got[0].body, w.keys, time.Now(), 0)
		if err != nil || event.ID != "d1" || event.Type != client.WebhookCompleted {
			t.Fatalf("%+v %v", event, err)
		}
		if key := got[0].header.Get("Idempotency-Key"); key != "d1" {
			t.Errorf("Idempotency-Key %q", key)
		}
		if kids := got[0].header.Get(client.HeaderWebhookKeys); kids != "k1" {
			t.Errorf("%s %q", client.HeaderWebhookKeys, kids)
		}
		pass(time.Hour)
		if n := len(w.receivers.got()); n != 1 {
			t.Errorf("delivered %d times", n)
		}
		if d := w.find("d1"); d.State != Delivered || d.Attempts != 1 || d.Last.Status != http.StatusNoContent {
			t.Errorf("%+v", d)
		}
		if got := w.observed(); len(got) != 1 || got[0] != "acme delivered" {
			t.Errorf("observed %v", got)
		}
	})
}

// Whoever is interested is told of a delivery once its receiver has taken it, and of no other.
func TestTellsOfWhatWasDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int32
		w := newWorld(t, func(s *Settings) {
			s.Delivered = func(d *Delivery) {
				if d.ID == "d1" && d.State == Delivered {
					told.Add(1)
				}
			}
		})
		defer w.end()
		w.receivers.set(always(http.StatusBadGateway))
		w.tell("d1", "acme")
		pass(time.Minute)
		if got := told.Load(); got != 0 {
			t.Errorf("told %d times of what nobody has taken", got)
		}
		w.receivers.set(nil)
		pass(time.Hour)
		if got := told.Load(); got != 1 {
			t.Errorf("told %d times, want once", got)
		}
	})
}

// The whole timetable: from one second to fifteen minutes, a last attempt at 72 hours, then a dead letter, which a
// replay brings back with the same id and all of its time.
func TestTimetable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		w.receivers.set(always(http.StatusBadGateway))
		began := time.Now()
		w.tell("d1", "acme")
		pass(80 * time.Hour)
		got := w.receivers.got()
		var want time.Duration
		wait := time.Second
		for n, a := range got {
			if a.at.Sub(began) != min(want, 72*time.Hour) {
				t.Fatalf("attempt %d came after %s, want %s", n+1, a.at.Sub(began), want)
			}
			want += wait
			wait = min(2*wait, 15*time.Minute)
			if event, err := client.VerifyWebhook(a.header, a.body, w.keys, a.at, time.Second); err != nil || event.ID != "d1" {
				t.Fatalf("attempt %d: %v", n+1, err)
			}
		}
		// Eleven in the first 1,023 s, then one each 900 s, and the last one at the end.
		if len(got) != 298 {
			t.Errorf("%d attempts in 72 hours", len(got))
		}
		dead := w.find("d1")
		if dead.State != Dead || dead.Why != "given up after 72h0m0s" || dead.Attempts != len(got) || !dead.Ended.Equal(began.Add(72*time.Hour)) {
			t.Errorf("%+v", dead)
		}
		if !dead.Expires().Equal(dead.Ended.Add(30 * 24 * time.Hour)) {
			t.Errorf("kept until %s", dead.Expires())
		}

		w.receivers.set(nil)
		if n, err := w.ReplayDead(t.Context(), "other"); n != 0 || err != nil {
			t.Errorf("replayed %d of another client, %v", n, err)
		}
		if n, err := w.ReplayDead(t.Context(), ""); n != 1 || err != nil {
			t.Errorf("replayed %d, %v", n, err)
		}
		synctest.Wait()
		last := w.receivers.got()[len(got)]
		if d := w.find("d1"); d.State != Delivered || last.header.Get(client.HeaderWebhookID) != "d1" || d.Why != "" {
			t.Errorf("%+v", d)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for asked, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "86400": time.Hour, "0": time.Second, "-5": time.Second, "soon": time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			defer w.end()
			w.receivers.set(func(*http.Request) (*http.Response, error) {
				busy := status(http.StatusTooManyRequests)
				busy.Header.Set("Retry-After", asked)
				return busy, nil
			})
			w.tell("d1", "acme")
			pass(want - time.Millisecond)
			if n := len(w.receivers.got()); n != 1 {
				t.Errorf("Retry-After %s: %d attempts just before %s", asked, n, want)
			}
			pass(2 * time.Millisecond)
			if n := len(w.receivers.got()); n != 2 {
				t.Errorf("Retry-After %s: %d attempts just after %s", asked, n, want)
			}
		})
	}
}

func TestGoneIsADeadLetterAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		w.receivers.set(always(http.StatusGone))
		w.tell("d1", "acme")
		pass(time.Hour)
		if d := w.find("d1"); d.State != Dead || d.Attempts != 1 || len(w.receivers.got()) != 1 {
			t.Errorf("%+v", d)
		}
	})
}

// What a receiver answers instead of a 2xx, or in place of an answer, is told in words.
func TestOutcomes(t *testing.T) {
	for name, row := range map[string]struct {
		answer          func(*http.Request) (*http.Response, error)
		outcome, detail string
	}{
		"redirect": {always(http.StatusTemporaryRedirect), OutcomeRedirect, "not followed"},
		"rejected": {always(http.StatusNotFound), OutcomeRejected, "404 Not Found"},
		"error":    {always(http.StatusInternalServerError), OutcomeServerError, "500 Internal Server Error"},
		"timeout":  {silent, OutcomeTimeout, "no answer within 15s"},
		"down":     {func(*http.Request) (*http.Response, error) { return nil, errDown }, OutcomeUnreachable, "not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				defer w.end()
				w.receivers.set(row.answer)
				w.tell("d1", "acme")
				pass(15*time.Second + time.Millisecond)
				d := w.find("d1")
				if d.State != Pending || d.Last == nil || d.Last.Outcome != row.outcome || !strings.Contains(d.Last.Detail, row.detail) {
					t.Errorf("%+v %+v", d, d.Last)
				}
			})
		})
	}
}

// A receiver that is slow or dead holds up no other, and has one attempt at a time.
func TestOneDeadReceiverHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(s *Settings) {
			s.Addresses["slow"] = "https://slow.example/hook"
			s.Total = 20
		})
		defer w.end()
		w.receivers.set(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "slow.example" {
				return silent(r)
			}
			return status(http.StatusOK), nil
		})
		for n := range 200 {
			w.tell(fmt.Sprintf("slow-%03d", n), "slow")
		}
		synctest.Wait()
		if n := w.receivers.at("slow.example"); n != 8 {
			t.Errorf("%d attempts at one time to one client", n)
		}
		for n := range 50 {
			w.tell(fmt.Sprintf("acme-%03d", n), "acme")
		}
		synctest.Wait()
		if n := w.receivers.at("acme.example"); n != 50 {
			t.Errorf("%d of 50 arrived beside a slow receiver", n)
		}
		pass(15 * time.Second)
		if n := w.receivers.at("slow.example"); n != 9 {
			t.Errorf("%d attempts after the first eight had failed, want one more", n)
		}
	})
}

// A claimed delivery whose process died is delivered by another when its lease has run out.
func TestLeaseOfADeadNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		synctest.Wait() // the dispatcher's first look is over
		now := time.Now()
		w.put(Tell("d1", "acme", "signing.completed", jsontext.Value(`{}`), now, now, now.Add(time.Hour)))
		if claimed, err := w.store.Claim(t.Context(), queueOf("acme"), 1, 30*time.Second); len(claimed) != 1 || err != nil {
			t.Fatal(claimed, err)
		}
		w.Wake("acme")
		pass(29 * time.Second)
		if n := len(w.receivers.got()); n != 0 {
			t.Errorf("%d arrivals while another holds the lease", n)
		}
		pass(6 * time.Second)
		if n := len(w.receivers.got()); n != 1 {
			t.Errorf("%d arrivals after it ran out", n)
		}
	})
}

// A configuration's end stops the claims, the next one's start begins them again, and an attempt under way is neither
// broken off nor doubled.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		w.receivers.set(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(10 * time.Second):
				return status(http.StatusOK), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		w.tell("d1", "acme")
		synctest.Wait()
		changed := w.settings
		changed.Addresses = map[string]string{"acme": "https://moved.example/hook"}
		w.Use("second", changed)
		w.Drop("first")
		w.tell("d2", "acme")
		pass(11 * time.Second)
		if w.receivers.at("acme.example") != 1 || w.receivers.at("moved.example") != 1 {
			t.Errorf("%d before and %d after", w.receivers.at("acme.example"), w.receivers.at("moved.example"))
		}
		if d := w.find("d1"); d.State != Delivered || d.Attempts != 1 {
			t.Errorf("the one under way: %+v", d)
		}
		w.Drop("second")
		w.tell("d3", "acme")
		pass(time.Hour)
		if d := w.find("d3"); d.State != Pending || d.Attempts != 0 {
			t.Errorf("claimed without a configuration: %+v", d)
		}
	})
}

// An attempt that is broken off at the end of the process does not count, and is due at once for the next.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.receivers.set(silent)
		w.tell("d1", "acme")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		w.Close(ctx)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("closed after %s", took)
		}
		d := w.find("d1")
		if d.State != Pending || d.Attempts != 0 || d.Next().After(time.Now()) {
			t.Errorf("%+v", d)
		}
	})
}

// What is queued for a client that is configured no more becomes a dead letter, and is found without anybody's help.
func TestClientWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		now := time.Now()
		w.put(Tell("d1", "former", "signing.completed", jsontext.Value(`{}`), now, now, now.Add(time.Hour)))
		pass(time.Minute)
		if d := w.find("d1"); d.State != Dead || !strings.Contains(d.Why, "no webhook in the present configuration") {
			t.Errorf("%+v", d)
		}
		pass(time.Minute)
		if stats := w.Stats(); stats["former"].Dead != 1 {
			t.Errorf("%+v", stats)
		}
	})
}

// What waits is not sent, and its source is asked when its time has come.
func TestRipens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		var asked atomic.Int32
		w.source.ripen = func(ctx context.Context, d *Delivery) error {
			again := asked.Add(1)
			now := time.Now()
			record, err := Announce(d.ID, d.Client, d.Content, d.At, now.Add(time.Minute), d.Kept)
			if again == 2 {
				record, err = Tell(d.ID, d.Client, "signing.expired", d.Content, d.At, now, d.Kept)
			}
			if err != nil {
				return err
			}
			defer w.Wake(d.Client)
			return w.store.Commit(ctx, store.Batch{If: []store.Check{d.Check()}, Then: []store.Op{{Put: record}}})
		}
		now := time.Now()
		w.put(Announce("d1", "acme", jsontext.Value(`{}`), now.Add(time.Hour), now.Add(time.Hour), now.Add(2*time.Hour)))
		if _, err := w.Replay(t.Context(), "d1"); err != ErrNothingToReplay { //nolint:errorlint // that very value
			t.Errorf("replaying what waits: %v", err)
		}
		pass(time.Hour + 10*time.Second)
		if n := len(w.receivers.got()); n != 0 || asked.Load() != 1 {
			t.Errorf("%d arrivals, asked %d times", n, asked.Load())
		}
		pass(time.Minute)
		if d := w.find("d1"); d.State != Delivered || len(w.receivers.got()) != 1 || asked.Load() != 2 {
			t.Errorf("%+v, asked %d times", d, asked.Load())
		}
	})
}

// Nothing that a receiver says gets into the log or the store, but its status.
func TestWhatAReceiverSaysIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		defer w.end()
		const canary = "canary-5d1f"
		w.source.body = func(*Delivery) ([]byte, error) { return []byte(`{"data":{"token":"` + canary + `"}}`), nil }
		w.receivers.set(func(*http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %q", canary)
		})
		w.tell("d1", "acme")
		pass(time.Minute)
		records, err := w.store.Get(t.Context(), keyOf("d1"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(w.logs.String(), canary) || strings.Contains(string(records[0].Value), canary) {
			t.Errorf("%s\n%s", w.logs, records[0].Value)
		}
		if !strings.Contains(w.logs.String(), "webhook not delivered") {
			t.Error("a failed attempt is not logged")
		}
	})
}
