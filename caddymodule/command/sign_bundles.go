package command

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
)

// bundleToSign is a FHIR prescription among the files to be signed. It is prepared here, and its signed form is written
// beside it.
type bundleToSign struct {
	path     string
	payload  int // which of the request's
	bundle   *prescription.Bundle
	prepared prescription.Prepared
	file     *os.File // for the signed bundle
	written  bool
}

// isBundle tells whether a file holds a FHIR bundle, sound or not.
func isBundle(data []byte) bool {
	var resource struct {
		Type string `json:"resourceType"`
	}
	_ = json.Unmarshal(data, &resource) // what was read before an error counts
	return resource.Type == "Bundle"
}

func newBundleToSign(path string, data []byte, payload int) (*bundleToSign, error) {
	b, err := prescription.ReadBundle(data)
	if err == nil && b.Signed() {
		err = prescription.ErrSigned
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &bundleToSign{path: path, payload: payload, bundle: b}, nil
}

// signedName is where the signed form of a bundle goes.
func signedName(path string) string { return strings.TrimSuffix(path, ".json") + ".signed.json" }

// prepare makes the payloads of all bundles.
func (s *signRun) prepareBundles(payloads []client.Payload, at time.Time, progress *progress) error {
	if len(s.bundles) > 0 && s.algorithm == client.PS256 {
		return errors.New("--algorithm PS256: EPS takes prescriptions signed with RS256 or RS1 only")
	}
	for i, b := range s.bundles {
		var outcome *prescription.Outcome
		if b.prepared, outcome = prescription.Prepare(b.bundle, prescription.MayPrescribe, s.algorithm, at); outcome != nil {
			progress.end()
			return refusedBundle(b.path, outcome)
		}
		payloads[b.payload].Payload = b.prepared.Digest()
		progress.state(fmt.Sprintf("%d of %d prescriptions prepared", i+1, len(s.bundles)))
	}
	progress.end()
	return nil
}

// openSigned makes the files for the signed bundles, so that nobody signs and then finds that they cannot be written.
func (s *signRun) openSigned() error {
	for _, b := range s.bundles {
		file, err := createNew(signedName(b.path), "move it away")
		if err != nil {
			return err
		}
		b.file = file
	}
	return nil
}

// createNew makes a file for its owner alone, and never opens one that is there.
func createNew(path, fix string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names it
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s exists already; %s", path, fix)
	}
	return file, err
}

// closeSigned closes those files, and removes the empty ones.
func (s *signRun) closeSigned() {
	for _, b := range s.bundles {
		if b.file == nil {
			continue
		}
		_ = b.file.Close() // write has closed those that matter
		if !b.written {
			_ = os.Remove(b.file.Name())
		}
	}
}

// complete writes the signed bundles.
func (s *signRun) complete(response client.Response, progress *progress) error {
	leaf, err := response.Leaf()
	if err != nil {
		return err
	}
	for i, b := range s.bundles {
		signature, err := base64.StdEncoding.DecodeString(response.Signatures[b.payload].Signature)
		if err != nil {
			return fmt.Errorf("%s: %w", b.path, err)
		}
		signed, err := prescription.Complete(b.bundle, b.prepared, signature, leaf)
		if err != nil {
			return fmt.Errorf("%s: %w", b.path, err)
		}
		if err := b.write(signed); err != nil {
			return err
		}
		progress.state(fmt.Sprintf("%d of %d signed prescriptions written", i+1, len(s.bundles)))
	}
	progress.end()
	return nil
}

func (b *bundleToSign) write(signed []byte) error {
	if _, err := b.file.Write(signed); err != nil {
		return err
	}
	b.written = true
	return b.file.Close()
}
