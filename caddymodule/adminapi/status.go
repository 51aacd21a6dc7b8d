package adminapi

import "github.com/seed-dd2befc3/countersign/signing"

// Status is what the answer of /countersign/status begins with; how everything is, is told after it.
type Status struct {
	Problems    []Problem       `json:"problems"` // none where all is well
	Environment string          `json:"environment"`
	Version     signing.Version `json:"version"`
}

// Problem is something that a person should look at.
type Problem struct {
	What   string `json:"what"` // in the words of the alert rules (monitoring/alerts.yml)
	Detail string `json:"detail,omitempty"`
}

// StoreHeader is the header in which the answer of /countersign/backup names the store: its engine, and where it is.
const StoreHeader = "Countersign-Store"
