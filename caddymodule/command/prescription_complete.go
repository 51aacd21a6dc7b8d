package command

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
)

func prescriptionCompleteCommand() *cobra.Command {
	flags := &preparation{}
	cmd := &cobra.Command{
		Use:   "complete <bundle> --signatures <file> --at <time>",
		Short: "Puts a signature into the bundle it was made for",
		Long: `
Prints the bundle with a Provenance that holds its signature. The signature is taken from the answer of a Signing
Service, or from a file that "caddy countersign sign" saved, and must be over this bundle as prepared at this time. The
exit status is 1 if there is no such signature.`,
		Example: "  caddy countersign prescription complete bundle.json --signatures signatures.json --at 2026-11-30T12:00:00Z > signed.json",
		Args:    cobra.ExactArgs(1),
	}
	flags.atFlag(cmd, "`time` that went into the digest: the timestamp that $prepare answered")
	signatures := cmd.Flags().String("signatures", "", "`file` with the signatures")
	for _, name := range []string{"at", "signatures"} {
		_ = cmd.MarkFlagRequired(name) // fails for a flag that does not exist only
	}
	return newCommand(cmd, func(_ context.Context, out output, args []string) error {
		at, err := flags.moment()
		if err != nil {
			return err
		}
		response, err := readResponse(*signatures)
		if err != nil {
			return fmt.Errorf("%s: %w", *signatures, err)
		}
		signed, err := completeFile(args[0], response, at)
		if err != nil {
			return err
		}
		*out.printed = true
		_, err = out.stdout.Write(signed)
		return err
	})
}

// readResponse reads an answer of the Signing Service, alone or in a file that sign saved.
func readResponse(path string) (client.Response, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return client.Response{}, errors.Unwrap(err)
	}
	if record, err := client.ParseRecord(data); err == nil {
		return record.Response, nil
	}
	var response client.Response
	if err := json.Unmarshal(data, &response); err != nil || len(response.Signatures) == 0 || response.Certificate == "" {
		return client.Response{}, errors.New("this is neither an answer of a Signing Service nor a file that sign saved")
	}
	return response, nil
}

// errNoSignature is that none of a response is over a bundle.
var errNoSignature = errors.New("none of the signatures is over this bundle, prepared at this time")

// completeFile puts into a bundle the signature of a response that is over it.
func completeFile(path string, response client.Response, at time.Time) ([]byte, error) {
	leaf, err := response.Leaf()
	if err != nil {
		return nil, err
	}
	for _, algorithm := range []string{client.RS256, client.RS1} {
		b, prepared, outcome, err := prepareFile(path, algorithm, at)
		switch {
		case err != nil:
			return nil, err
		case outcome != nil:
			return nil, refusedBundle(path, outcome)
		}
		if signature := signatureOver(prepared, response.Signatures, leaf); signature != nil {
			return prescription.Complete(b, prepared, signature, leaf)
		}
	}
	return nil, fmt.Errorf("%s: %w", path, errNoSignature)
}

// signatureOver is the signature that verifies over what was prepared, or nil.
func signatureOver(prepared prescription.Prepared, signatures []client.Signature, leaf *x509.Certificate) []byte {
	for _, s := range signatures {
		signature, err := base64.StdEncoding.DecodeString(s.Signature)
		if err == nil && client.VerifyPayload(prepared.Algorithm, leaf, prepared.SignedInfo, signature) == nil {
			return signature
		}
	}
	return nil
}
