package pkcs11

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// Sign signs a job with its user's card.
func (a *Agent) Sign(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
	a.count(1)
	defer a.count(-1)
	child, chosen, err := a.find(ctx, job)
	if err != nil {
		return a.told(ctx, err)
	}
	release, err := a.hold(ctx, chosen.card)
	if err != nil {
		a.children.giveBack(child)
		return err
	}
	defer release()
	b := batch{agent: a, child: child, chosen: chosen, job: job}
	err = b.sign(ctx, out)
	if b.sound {
		a.children.giveBack(child)
	} else {
		child.kill()
	}
	return err
}

func (a *Agent) count(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jobs += n
}

// find chooses the card. If a child that has served before does not see it, a fresh child looks again: not every
// module notices changes after it was loaded.
func (a *Agent) find(ctx context.Context, job smartcard.Job) (*process, choice, error) {
	child, fresh, err := a.children.borrow(ctx)
	for {
		if err != nil {
			return nil, choice{}, err
		}
		var found []Reader
		if found, err = a.look(child); err == nil {
			chosen, none, against := choose(found, job.Sub, job.Algorithm)
			switch {
			case chosen.card != nil:
				return child, chosen, nil
			case fresh:
				a.children.giveBack(child)
				return nil, choice{}, absent(found, job.Sub, none, against)
			}
		}
		child.kill()
		if err != nil && fresh {
			return nil, choice{}, err
		}
		child, err = a.children.another(ctx)
		fresh = true
	}
}

// absent returns why no card can sign.
func absent(found []Reader, sub string, none bool, against string) *failure {
	if none {
		text := "There is no smartcard in the reader."
		if slices.ContainsFunc(found, func(r Reader) bool { return r.Card != nil }) {
			text = "The smartcard in the reader belongs to somebody else."
		}
		return &failure{code: smartcard.CodeNoCard, message: text, detail: "no card of the user is in a reader"}
	}
	for _, r := range found {
		if r.Card != nil && r.Card.pin.Locked && slices.ContainsFunc(r.Card.Certificates, func(c Certificate) bool { return c.User == sub }) {
			return &failure{code: smartcard.CodePINLocked, message: "The smartcard is locked after too many wrong PINs.", final: true, detail: against}
		}
	}
	return &failure{code: smartcard.CodeCardUnfit, message: "This smartcard cannot sign: " + against + ".", final: true, detail: against}
}

// hold locks the card: another job's login or logout would affect this one.
func (a *Agent) hold(ctx context.Context, card *Card) (release func(), err error) {
	key := card.Serial + "\x00" + card.Label
	a.mu.Lock()
	turn := a.busy[key]
	if turn == nil {
		turn = make(chan struct{}, 1)
		a.busy[key] = turn
	}
	a.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// batch is one job on one card.
type batch struct {
	agent  *Agent
	child  *process
	chosen choice
	job    smartcard.Job
	ready  pipe.Ready

	sent    int  // items sent to the child
	replied int  // items the child has answered
	sound   bool // the child ended the batch and can serve another
}

func (b *batch) sign(ctx context.Context, out *smartcard.Stream) error {
	if err := b.begin(ctx); err != nil {
		return b.agent.told(ctx, err)
	}
	if err := out.Certificate(b.chosen.certificate.der); err != nil {
		return err
	}
	for i, item := range b.job.Payloads {
		signature, err := b.item(ctx, i)
		if cancelled := ctx.Err(); cancelled != nil {
			b.end(ctx)
			return cancelled
		}
		if err != nil {
			b.end(ctx)
			return out.Fail(item.ID, b.agent.explain(ctx, b.whereabouts(ctx, err)).wire())
		}
		if err := out.Signature(item.ID, signature); err != nil {
			b.end(ctx)
			return err
		}
	}
	b.end(ctx)
	return nil
}

// begin asks for the PIN and logs in to the card.
func (b *batch) begin(ctx context.Context) error {
	secret, err := b.pin(ctx)
	if err != nil {
		b.sound = true
		return err
	}
	request, err := pipe.New(pipe.Begin, pipe.Batch{
		Slot: b.chosen.card.slot, Serial: b.chosen.card.Serial, Label: b.chosen.card.Label,
		Certificate: b.chosen.certificate.der, Algorithm: b.job.Algorithm,
	}, secret)
	clear(secret)
	if err != nil {
		return err
	}
	defer request.Wipe()
	if err = b.child.call(b.limit(), request, pipe.Begun, &b.ready); err != nil {
		return b.refused(err)
	}
	b.agent.o.Logger.DebugContext(ctx, "card is ready to sign", "job", b.job.Job, "reader", b.chosen.reader,
		"mechanism", b.ready.Mechanism, "pin_each_time", b.ready.EachTime)
	return nil
}

// pin gets the PIN, if the card needs one and the reader has no pad.
func (b *batch) pin(ctx context.Context) ([]byte, error) {
	card := b.chosen.card
	source := b.agent.o.PIN
	switch {
	case !card.pin.Needed || card.pin.Pad:
		return nil, nil
	case source == nil:
		return nil, errors.New("the card needs a PIN and the agent has no source of PINs: add pin")
	case source.Stored() && (card.pin.Low || card.pin.FinalTry):
		return nil, errors.New("a wrong PIN was entered since the last correct one, so the stored PIN is not tried: log in once by hand with the correct PIN")
	}
	ctx, cancel := context.WithTimeout(ctx, b.agent.o.PINTimeout)
	defer cancel()
	return source.Ask(ctx, pin.Prompt{
		User: b.job.Sub, Token: card.Label, Reader: b.chosen.reader, Client: b.job.Client, Items: len(b.job.Payloads),
		WrongBefore: card.pin.Low, LastTry: card.pin.FinalTry,
	})
}

// refused handles a batch that did not begin. There is never a second attempt.
func (b *batch) refused(err error) error {
	var told *pipe.Failure
	if !errors.As(err, &told) {
		return err
	}
	if told.Kind == pipe.PINWrong {
		if b.agent.o.PIN != nil {
			b.agent.o.PIN.Rejected()
		}
		if b.chosen.card.pin.FinalTry {
			return &pipe.Failure{Kind: pipe.PINLocked, Text: told.Text}
		}
	}
	b.sound = told.Kind != pipe.Broken && told.Kind != pipe.Removed // the child has already left the card
	return told
}

// item makes the signature of one item. If no person is asked between two signatures, the next item is sent to the
// card in advance, so that the card works while the gateway is answered. A child that failed at one item signs no
// other, so at most one signature is made that nobody receives.
func (b *batch) item(ctx context.Context, index int) ([]byte, error) {
	last := index
	if !b.ready.EachTime {
		last = min(index+1, len(b.job.Payloads)-1)
	}
	for ; b.sent <= last; b.sent++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		request, err := pipe.New(pipe.Sign, nil, b.job.Payloads[b.sent].Payload)
		if err != nil {
			return nil, err
		}
		if err := b.child.send(b.limit(), request); err != nil {
			return nil, err
		}
	}
	b.replied++
	return b.child.reply(b.limit(), pipe.Signed, nil)
}

// limit is how long the card may take for one step: longer if the reader may ask for the PIN.
func (b *batch) limit() time.Duration {
	if b.chosen.card.pin.Pad {
		return b.agent.o.CallTimeout + b.agent.o.PINTimeout
	}
	return b.agent.o.CallTimeout
}

// end logs out of the card.
func (b *batch) end(ctx context.Context) {
	for ; b.replied < b.sent; b.replied++ {
		_, _ = b.child.reply(b.limit(), pipe.Signed, nil) // discarded
	}
	if !b.child.alive() {
		return
	}
	request, err := pipe.New(pipe.End, nil, nil)
	if err == nil {
		err = b.child.call(b.agent.o.CallTimeout, request, pipe.Done, nil)
	}
	if err != nil {
		b.agent.o.Logger.DebugContext(ctx, "card did not log out", "job", b.job.Job, "error", err)
	}
	b.sound = err == nil
}

// whereabouts checks whether the card is still there when a module reports only a general failure: many report
// nothing else when a card is pulled.
func (b *batch) whereabouts(ctx context.Context, err error) error {
	var told *pipe.Failure
	if !errors.As(err, &told) || told.Kind != pipe.Broken {
		return err
	}
	b.sound = false
	child, startErr := b.agent.children.another(ctx)
	if startErr != nil {
		return err
	}
	defer b.agent.children.giveBack(child)
	found, lookErr := b.agent.look(child)
	if lookErr != nil {
		return err
	}
	for _, r := range found {
		if r.Card != nil && r.Card.Serial == b.chosen.card.Serial && r.Card.Label == b.chosen.card.Label {
			return err
		}
	}
	return &pipe.Failure{Kind: pipe.Removed, Text: told.Text}
}
