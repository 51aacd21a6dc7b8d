package store_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// Two writers race for one key. The check of version zero lets only the first one put it.
func Example() {
	ctx := context.Background()
	sessions := memory.New(memory.Options{})
	defer sessions.Close()

	put := store.Batch{
		If:   []store.Check{{Key: "session/1"}}, // it must not exist yet
		Then: []store.Op{{Put: &store.Record{Key: "session/1", Value: []byte("created")}}},
	}
	fmt.Println(sessions.Commit(ctx, put))
	var conflict *store.Conflict
	fmt.Println(errors.As(sessions.Commit(ctx, put), &conflict))

	records, err := sessions.Get(ctx, "session/1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", records[0].Value)
	// Output:
	// <nil>
	// true
	// created
}
