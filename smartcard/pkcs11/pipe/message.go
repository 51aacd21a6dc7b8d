package pipe

// Greeting is Hello's head.
type Greeting struct {
	Version int    `json:"version"`
	Module  string `json:"module"` // what the library says of itself
}

// Listing is the head of Cards.
type Listing struct {
	Slots []Slot `json:"slots"`
}

// Slot is a reader, and the card in it.
type Slot struct {
	ID      uint64 `json:"id"`
	Reader  string `json:"reader"`
	Card    *Card  `json:"card,omitzero"`    // nil: there is none
	Trouble string `json:"trouble,omitzero"` // why the card cannot be read: function and return value
}

// Card is what a card shows to everybody.
type Card struct {
	Label        string        `json:"label"`
	Manufacturer string        `json:"manufacturer"`
	Model        string        `json:"model"`
	Serial       string        `json:"serial"`
	PIN          PIN           `json:"pin"`
	Algorithms   []string      `json:"algorithms"` // of the wire, those that it has a mechanism for
	Certificates []Certificate `json:"certificates"`
}

// PIN is how a card stands with its PIN.
type PIN struct {
	Needed    bool `json:"needed"`    // to sign
	Set       bool `json:"set"`       // it has one
	Pad       bool `json:"pad"`       // it is entered at the reader
	Low       bool `json:"low"`       // a wrong one was entered since the last right one
	FinalTry  bool `json:"finalTry"`  // one more wrong one locks the card
	Locked    bool `json:"locked"`    // too many wrong ones were entered
	MustAlter bool `json:"mustAlter"` // the card demands a new one before it signs
}

// Certificate is an X.509 certificate on a card.
type Certificate struct {
	ID  []byte `json:"id"` // CKA_ID: that of its key
	DER []byte `json:"der"`
}

// Batch is the head of Begin: which card signs, and with which key. If another card is in the reader by then, the
// PIN is not shown to it.
type Batch struct {
	Slot        uint64 `json:"slot"`
	Serial      string `json:"serial"`
	Label       string `json:"label"`
	Certificate []byte `json:"certificate"` // DER
	Algorithm   string `json:"algorithm"`   // of the wire
}

// Ready is the head of Begun.
type Ready struct {
	Mechanism string `json:"mechanism"`
	EachTime  bool   `json:"eachTime"` // the key takes the PIN before every signature
}

// Failure is the head of Failed.
type Failure struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"` // for the operator: function and return value, or a reason; never a PIN or a payload
}

// Error is the text.
func (f *Failure) Error() string { return f.Text }

// Kind is what a failure means to whoever waits for signatures.
type Kind string

// The kinds.
const (
	PINWrong  Kind = "pin_wrong"  // the card refused the PIN, and counted it
	PINLocked Kind = "pin_locked" // the card takes no PIN any more
	Cancelled Kind = "cancelled"  // the person cancelled at the reader
	Removed   Kind = "removed"    // the card is gone, was exchanged, or was reset
	Unfit     Kind = "unfit"      // this card or key cannot make the signature
	Broken    Kind = "broken"     // anything else that a module can say
)
