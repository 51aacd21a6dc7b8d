package pool

import (
	"errors"
	"testing"
)

// thing asks for itself while it ends, like a smartcard job that still needs the store.
type thing struct {
	of    *Share[*thing]
	ended chan error
}

func (t *thing) Destruct() error {
	_, err := t.of.Acquire("test thing", nil)
	t.ended <- err
	return nil
}

func TestAThingIsSharedAndEndsOnce(t *testing.T) {
	ended := make(chan error, 1)
	var first, second Share[*thing]
	begin := func() (*thing, error) { return &thing{of: &first, ended: ended}, nil }
	one, err := first.Acquire("test thing", begin)
	if err != nil {
		t.Fatal(err)
	}
	two, err := second.Acquire("test thing", func() (*thing, error) { return nil, errors.New("must not be made again") })
	if err != nil || one != two {
		t.Fatalf("the second configuration got another value, error %v", err)
	}
	for range 2 { // releasing twice counts once
		if err := second.Release(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-ended:
		t.Fatal("the value ended while the first configuration still held it")
	default:
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("acquiring while the value ends: got error %v", err)
	}
}

// A configuration that never acquired releases nothing: after a failed reload the value still belongs to the running
// one.
func TestAShareThatNeverAcquired(t *testing.T) {
	ended := make(chan error, 1)
	var running, failed Share[*thing]
	if _, err := running.Acquire("test thing 2", func() (*thing, error) { return &thing{of: &running, ended: ended}, nil }); err != nil {
		t.Fatal(err)
	}
	if err := failed.Release(); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 0 {
		t.Fatal("the running configuration's value was ended")
	}
	if _, err := failed.Acquire("test thing 2", nil); !errors.Is(err, ErrEnded) {
		t.Errorf("acquiring after the end: got error %v, want ErrEnded", err)
	}
	if err := running.Release(); err != nil || len(ended) != 1 {
		t.Errorf("release: got error %v", err)
	}
}
