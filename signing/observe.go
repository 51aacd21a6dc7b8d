package signing

import (
	"context"
	"time"
)

// Observer is told what happens, for metrics and for whoever asks why a request was refused. Its methods are called
// from many goroutines and must not block. Nothing that it is told is secret; of persons it is told nothing.
type Observer interface {
	Answered(ctx context.Context, answer Answer)
	Entered(ctx context.Context, state State)
	RunEnded(ctx context.Context, run Run)
}

// Answer is one answer to one request.
type Answer struct {
	Time          time.Time
	Took          time.Duration
	Endpoint      string // its path, without what the caller put into it; "none" where there is none
	Status        int    // of a refusal; 0 for success
	Code          string // of a refusal; "ok" for success
	Message       string // what the caller was told
	RequestID     string
	CorrelationID string
	Finding       // of a refusal
}

// Run is one run of an agent over a session.
type Run struct {
	Agent   string
	Outcome string // "signed", "lost" to a cancel, or the code of the reason why not
	Items   int
	Took    time.Duration
}

// nobody is the Observer where nobody watches.
type nobody struct{}

func (nobody) Answered(context.Context, Answer) {}
func (nobody) Entered(context.Context, State)   {}
func (nobody) RunEnded(context.Context, Run)    {}
