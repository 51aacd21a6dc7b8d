package eps

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/prescription"
)

// body is what passed, as it stood on the wire.
type body struct {
	encoding string // its Content-Encoding
	data     []byte
}

// decoded returns what the body says, of at most this many bytes.
func (b body) decoded(most int64) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(b.encoding)) {
	case "", "identity":
		return b.data, nil
	case "gzip", "x-gzip":
	default:
		return nil, fmt.Errorf("content encoding %q is not read here", b.encoding)
	}
	unzip, err := gzip.NewReader(bytes.NewReader(b.data))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(unzip, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it unpacks to more than %d bytes", most)
	}
	return data, err
}

// prepared is what $prepare answered (EPS-1.2).
type prepared struct {
	payload []byte
	at      time.Time
}

func readPrepared(answer []byte) (prepared, error) {
	var parameters struct {
		Type      string `json:"resourceType"`
		Parameter []struct {
			Name  string `json:"name"`
			Value string `json:"valueString"`
		} `json:"parameter"`
	}
	if err := json.Unmarshal(answer, &parameters); err != nil {
		return prepared{}, errors.New("the answer is not JSON")
	}
	values := map[string]string{}
	for _, p := range parameters.Parameter {
		if _, twice := values[p.Name]; twice {
			return prepared{}, errors.New("the answer has a parameter twice")
		}
		values[p.Name] = p.Value
	}
	payload, err := base64.StdEncoding.DecodeString(values["digest"])
	if err != nil || len(payload) == 0 || parameters.Type != "Parameters" {
		return prepared{}, errors.New("the answer has no digest")
	}
	at, err := time.Parse(prescription.TimestampFormat, values["timestamp"])
	if err != nil {
		return prepared{}, errors.New("the answer has no timestamp")
	}
	return prepared{payload, at}, nil
}
