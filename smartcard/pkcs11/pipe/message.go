package pipe

// Greeting is the head of Hello.
type Greeting struct {
	Version int    `json:"version"`
	Module  string `json:"module"` // the library's description of itself
}

// Listing is the head of Cards.
type Listing struct {
	Slots []Slot `json:"slots"`
}

// Slot is a reader, and the card in it.
type Slot struct {
	ID      uint64 `json:"id"`
	Reader  string `json:"reader"`
	Card    *Card  `json:"card,omitzero"`    // nil: none
	Trouble string `json:"trouble,omitzero"` // why the card cannot be read: function and return value
}

// Card is what a card shows without a PIN.
type Card struct {
	Label        string        `json:"label"`
	Manufacturer string        `json:"manufacturer"`
	Model        string        `json:"model"`
	Serial       string        `json:"serial"`
	PIN          PIN           `json:"pin"`
	Algorithms   []string      `json:"algorithms"` // those of the protocol it has a mechanism for
	Certificates []Certificate `json:"certificates"`
}

// PIN is the state of a card's PIN.
type PIN struct {
	Needed    bool `json:"needed"`    // to sign
	Set       bool `json:"set"`       // the card has one
	Pad       bool `json:"pad"`       // the PIN is entered at the reader
	Low       bool `json:"low"`       // a wrong PIN was entered since the last correct one
	FinalTry  bool `json:"finalTry"`  // one more wrong PIN locks the card
	Locked    bool `json:"locked"`    // too many wrong PINs were entered
	MustAlter bool `json:"mustAlter"` // the card demands a new PIN before it signs
}

// Certificate is an X.509 certificate on a card.
type Certificate struct {
	ID  []byte `json:"id"` // CKA_ID, which the key has too
	DER []byte `json:"der"`
}

// Batch is the head of Begin: the card and the key that sign. If the reader then holds another card, the PIN is not
// presented to it.
type Batch struct {
	Slot        uint64 `json:"slot"`
	Serial      string `json:"serial"`
	Label       string `json:"label"`
	Certificate []byte `json:"certificate"` // DER
	Algorithm   string `json:"algorithm"`   // of the protocol
}

// Ready is the head of Begun.
type Ready struct {
	Mechanism string `json:"mechanism"`
	EachTime  bool   `json:"eachTime"` // the key requires the PIN before every signature
}

// Failure is the head of Failed.
type Failure struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"` // for the operator: function and return value, or a reason; never a PIN or a payload
}

// Error returns the text.
func (f *Failure) Error() string { return f.Text }

// Kind is what a failure means to the requester of signatures.
type Kind string

// The kinds.
const (
	PINWrong  Kind = "pin_wrong"  // the card refused the PIN, and counted it
	PINLocked Kind = "pin_locked" // the card accepts no PIN any more
	Cancelled Kind = "cancelled"  // the person cancelled at the reader
	Removed   Kind = "removed"    // the card is gone, was exchanged or was reset
	Unfit     Kind = "unfit"      // this card or key cannot make the signature
	Broken    Kind = "broken"     // anything else a module can report
)
