package client

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Prepared is the contents of a file that is to be signed.
type Prepared struct {
	ID        string // of the resource; empty if the file has none
	Algorithm string // RS1, RS256 or PS256; empty if the file names none
	Payload   []byte // the bytes to sign
}

// ErrPrepare is wrapped by errors about a file that should be a saved answer of $prepare.
var ErrPrepare = errors.New("not the answer of $prepare")

// Read parses a file: either an answer of the Electronic Prescription Service's $prepare (FHIR Parameters as JSON, with
// "digest", the base64 of a canonical SignedInfo, and "algorithm"), or anything else, which is signed as it is. FHIR
// resources of other types are rejected, because signing their JSON is never what was meant.
func Read(data []byte) (Prepared, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		algorithm, _, _ := ParseSignedInfo(data)
		return Prepared{Payload: data, Algorithm: known(algorithm)}, nil
	}
	var resource struct {
		Type      string `json:"resourceType"`
		ID        string `json:"id"`
		Parameter []struct {
			Name  string `json:"name"`
			Value string `json:"valueString"`
		} `json:"parameter"`
	}
	switch err := json.Unmarshal(data, &resource); {
	case err == nil && resource.Type == "Parameters":
	case resource.Type == "OperationOutcome":
		return Prepared{}, fmt.Errorf("%w: file is an OperationOutcome: prepare the prescription again, and see there why it failed", ErrPrepare)
	case resource.Type != "":
		return Prepared{}, fmt.Errorf("%w: file is a %.40q: save the whole FHIR Parameters that $prepare returned", ErrPrepare, resource.Type)
	default:
		return Prepared{Payload: data}, nil // other JSON
	}
	values := make(map[string]string, len(resource.Parameter))
	for _, p := range resource.Parameter {
		if _, twice := values[p.Name]; twice && (p.Name == "digest" || p.Name == "algorithm") {
			return Prepared{}, fmt.Errorf("%w: duplicate parameter %s", ErrPrepare, p.Name)
		}
		values[p.Name] = p.Value
	}
	payload, err := decode(values["digest"])
	if err != nil || len(payload) == 0 {
		return Prepared{}, fmt.Errorf("%w: parameter digest is missing or not base64", ErrPrepare)
	}
	if _, err := algorithmNamed(values["algorithm"]); err != nil {
		return Prepared{}, fmt.Errorf("%w: parameter algorithm: %w", ErrPrepare, err)
	}
	if named, _, ok := ParseSignedInfo(payload); ok && named != values["algorithm"] {
		return Prepared{}, fmt.Errorf("%w: algorithm is %s, but digest is a SignedInfo for %s", ErrPrepare, values["algorithm"], named)
	}
	return Prepared{ID: resource.ID, Algorithm: values["algorithm"], Payload: payload}, nil
}

// known returns the algorithm if it is one of ours, otherwise "".
func known(algorithm string) string {
	if _, err := algorithmNamed(algorithm); err != nil {
		return ""
	}
	return algorithm
}
