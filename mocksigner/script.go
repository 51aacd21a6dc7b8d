package mocksigner

import (
	"context"
	"slices"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

// refusals are the faults by which no card signs.
var refusals = map[string]smartcard.Failure{
	NoCard:    {Code: "0x53494705", Message: "No smartcard in the reader"}, // a real agent's code
	WrongPIN:  {Code: smartcard.CodeWrongPIN, Message: "The PIN was wrong"},
	Cancelled: {Code: smartcard.CodeCancelled, Message: "Cancelled at the smartcard"},
}

// cardKinds are the faults of the card itself; every other job has a valid card.
var cardKinds = map[string]cardKind{
	ExpiredCertificate: expired,
	RevokedCertificate: revoked,
	UntrustedChain:     untrusted,
}

// play is what the mock sends after the certificate.
type play struct {
	items []item
	end   func(context.Context, *smartcard.Stream) error // nil: the server's done line
}

// item is one line with a signature.
type item struct {
	id      string
	text    []byte // what is signed
	damaged bool   // the signature is altered
	lie     bool   // a correct stream would refuse it
}

// send sends the item's signature, altered if damaged.
func (i item) send(out *smartcard.Stream, sig []byte) error {
	if i.damaged {
		sig[len(sig)-1] ^= 1
	}
	if i.lie {
		return out.Line(smartcard.Event{ID: i.id, Signature: sig}.Line())
	}
	return out.Signature(i.id, sig)
}

// script returns the play of a fault. Without a fault, or with a fault of the card, it is each payload in turn.
func script(fault string, payloads []smartcard.Payload) play {
	p := play{items: make([]item, len(payloads))}
	for i, load := range payloads {
		p.items[i] = item{id: load.ID, text: load.Payload}
	}
	last := len(p.items) - 1
	switch fault {
	case WrongSignature:
		p.items[last/2].damaged = true
	case Swapped:
		if last == 0 {
			p.items[0].text = append([]byte("other than "), p.items[0].text...)
		} else {
			p.items[0].text, p.items[last].text = p.items[last].text, p.items[0].text
		}
	case MissingItem:
		p.items = slices.Delete(p.items, last/2, last/2+1)
		p.end = claim(len(payloads))
	case ExtraItem:
		p.items = append(p.items, item{id: unusedID(payloads), text: payloads[0].Payload, lie: true})
		p.end = claim(len(payloads) + 1)
	case DuplicateItem:
		twice := p.items[last/2]
		twice.lie = true
		p.items = append(p.items, twice)
		p.end = claim(len(payloads))
	case Hang, Reset, Garbage, Truncated:
		p.items = p.items[:len(p.items)/2]
		p.end = interruptions[fault]
	}
	return p
}

// interruptions are the ways an answer breaks off.
var interruptions = map[string]func(context.Context, *smartcard.Stream) error{
	Hang: func(ctx context.Context, _ *smartcard.Stream) error {
		<-ctx.Done()
		return ctx.Err()
	},
	Reset: func(context.Context, *smartcard.Stream) error { return smartcard.ErrReset },
	Garbage: func(_ context.Context, out *smartcard.Stream) error {
		if err := out.Line([]byte("{\"id\": <html>\x00 not the wire\n")); err != nil {
			return err
		}
		return smartcard.ErrEnded
	},
	Truncated: func(context.Context, *smartcard.Stream) error { return smartcard.ErrEnded },
}

// claim ends an answer with a done line of the mock's own.
func claim(signed int) func(context.Context, *smartcard.Stream) error {
	return func(_ context.Context, out *smartcard.Stream) error {
		if err := out.Line(smartcard.Event{Done: &smartcard.Done{Signed: signed}}.Line()); err != nil {
			return err
		}
		return smartcard.ErrEnded
	}
}

// unusedID returns an id that no payload has.
func unusedID(payloads []smartcard.Payload) string {
	id := "extra"
	for slices.ContainsFunc(payloads, func(p smartcard.Payload) bool { return p.ID == id }) {
		id += "-1"
	}
	return id
}
