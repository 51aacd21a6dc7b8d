package strangers_test

import (
	"fmt"
	"testing"
)

// manyAddresses is how many strangers have where they have more than the honest clients' own.
const manyAddresses = 64

// honestTries is how often honest clients try while strangers are there.
const honestTries = 20

const asForm = "Content-Type: application/x-www-form-urlencoded\r\n"

var tokenForms = kind{request: "POST /oauth2/token", header: asForm, length: 1000, pool: "forms"}

// beside has strangers hold what they can of a pool, and honest clients beside them.
func beside(t *testing.T, k kind, few int, honest func(t *testing.T, w *world)) {
	t.Helper()
	for _, addresses := range []int{1, manyAddresses} {
		t.Run(fmt.Sprintf("%s from %d", k.pool, addresses), func(t *testing.T) {
			w := newWorld(t, "")
			s := w.besiege(t, k, count(t, few), origins(addresses))
			for range honestTries {
				honest(t, w)
			}
			eventually(t, "strangers in the pool", func() bool {
				return w.metric(t, `countersign_pool_used{pool="`+k.pool+`",proven="false"}`) > 0
			})
			s.end()
			eventually(t, "everything to be given back", func() bool { return w.metric(t, `countersign_pool_used{pool="`+k.pool+`"}`) == 0 })
		})
	}
}

// 1,024 half-sent forms used to be all that the token service would read at one time.
func TestHalfSentForms(t *testing.T) {
	beside(t, tokenForms, 1100, func(t *testing.T, w *world) { w.token(t) })
}
