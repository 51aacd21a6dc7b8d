package client

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Prepared is what a file gives to be signed.
type Prepared struct {
	ID        string // of the resource; empty where the file names none
	Algorithm string // RS1, RS256 or PS256, where the file says so
	Payload   []byte // the bytes that are signed
}

// ErrPrepare is a saved answer of $prepare that is none.
var ErrPrepare = errors.New("this is not the answer of $prepare")

// Read takes what is in a file: either the answer of the Electronic Prescription Service's $prepare (FHIR
// Parameters as JSON, with "digest", the base64 of a canonical SignedInfo, and "algorithm"), or anything else,
// which is signed as it is. A FHIR resource of another type is refused, for nobody means to sign that one's JSON.
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
		return Prepared{}, fmt.Errorf("%w: it is an OperationOutcome; prepare the prescription again and read there why it failed", ErrPrepare)
	case resource.Type != "":
		return Prepared{}, fmt.Errorf("%w: it is a %.40q; save the whole FHIR Parameters that $prepare returned", ErrPrepare, resource.Type)
	default:
		return Prepared{Payload: data}, nil // some other JSON
	}
	values := make(map[string]string, len(resource.Parameter))
	for _, p := range resource.Parameter {
		if _, twice := values[p.Name]; twice && (p.Name == "digest" || p.Name == "algorithm") {
			return Prepared{}, fmt.Errorf("%w: it has the parameter %s twice", ErrPrepare, p.Name)
		}
		values[p.Name] = p.Value
	}
	payload, err := decode(values["digest"])
	if err != nil || len(payload) == 0 {
		return Prepared{}, fmt.Errorf("%w: its parameter digest is missing or not base64", ErrPrepare)
	}
	if _, err := algorithmNamed(values["algorithm"]); err != nil {
		return Prepared{}, fmt.Errorf("%w: its parameter algorithm: %w", ErrPrepare, err)
	}
	if named, _, ok := ParseSignedInfo(payload); ok && named != values["algorithm"] {
		return Prepared{}, fmt.Errorf("%w: its algorithm is %s, but its digest is a SignedInfo for %s", ErrPrepare, values["algorithm"], named)
	}
	return Prepared{ID: resource.ID, Algorithm: values["algorithm"], Payload: payload}, nil
}

// known is the algorithm if it is one of ours, and nothing else.
func known(algorithm string) string {
	if _, err := algorithmNamed(algorithm); err != nil {
		return ""
	}
	return algorithm
}
