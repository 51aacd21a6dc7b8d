package adminapi

import "time"

// MaxRefusals is how many refused requests a gateway remembers.
const MaxRefusals = 1000

// RefusalList is the answer of /countersign/refusals, and of /countersign/refusals/{request id}.
type RefusalList struct {
	Refusals []Refusal `json:"refusals"`
}

// Refusal is a refused request as the admin endpoint and the command why tell it.
type Refusal struct {
	Time          time.Time `json:"time,omitzero"`
	RequestID     string    `json:"requestId"`
	CorrelationID string    `json:"correlationId,omitempty"`
	Endpoint      string    `json:"endpoint,omitempty"` // its path
	Client        string    `json:"client,omitempty"`   // where known
	Target        string    `json:"target,omitempty"`   // of a BaRS request
	Fault         string    `json:"fault,omitempty"`    // the same: sender, proxy, receiver or network
	Status        int       `json:"status"`
	Code          string    `json:"code"`
	Check         string    `json:"check,omitempty"`
	Expected      string    `json:"expected,omitempty"`
	Got           string    `json:"got,omitempty"`
	Answer        string    `json:"answer"` // what the caller was told
	Detail        string    `json:"detail,omitempty"`
}
