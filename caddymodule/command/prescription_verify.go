package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/prescription"
)

func prescriptionVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify <signed bundle> --issuer <PEM file>",
		Short: "Checks a signed prescription as EPS does",
		Long: `
Prints what EPS would refuse in a signed bundle, in its words: faults of the prescription, or else faults of its
signature and certificate. One of the issuers must have issued the certificate directly. Revocation lists are read
from files, not fetched. An old list proves that the certificates in it are revoked, and nothing about others. The
exit status is 1 if there is any fault.`,
		Example: "  caddy countersign prescription verify signed.json --issuer nhs-level-1d.pem --crl nhs-level-1d.crl",
		Args:    cobra.ExactArgs(1),
	}
	issuers := cmd.Flags().StringArray("issuer", nil, "PEM `file` with certificates of issuers, and of those who issued theirs; repeatable")
	lists := cmd.Flags().StringArray("crl", nil, "`file` with a revocation list of one of the issuers, DER or PEM; repeatable")
	_ = cmd.MarkFlagRequired("issuer") // fails for a flag that does not exist only
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		judge, err := offline(*issuers, *lists)
		if err != nil {
			return err
		}
		b, outcome, err := readBundle(args[0])
		if err != nil {
			return err
		}
		if outcome == nil {
			outcome = &prescription.Outcome{Issues: b.Check(prescription.MayPrescribe)}
		}
		if len(outcome.Issues) == 0 {
			outcome.Issues = prescription.Verify(ctx, b, judge)
		}
		return tellOutcome(out, outcome)
	})
}

// offline judges certificates by files of issuers and revocation lists.
func offline(issuers, lists []string) (prescription.Judge, error) {
	trusted, err := certificates.ReadPEM(issuers...)
	if err != nil {
		return nil, fmt.Errorf("--issuer %w", err)
	}
	o := certificates.NewOffline(trusted)
	for _, path := range lists {
		data, err := os.ReadFile(path)
		if err == nil {
			err = o.AddList(data, time.Now())
		}
		if err != nil {
			return nil, fmt.Errorf("--crl %s: %w", path, err)
		}
	}
	return o.Faults, nil
}

// tellOutcome prints the texts of an outcome. One with issues ends the command with exit status 1.
func tellOutcome(out output, outcome *prescription.Outcome) error {
	answer := struct {
		Holds  bool                 `json:"holds"`
		Issues []prescription.Issue `json:"issues"`
	}{len(outcome.Issues) == 0, append([]prescription.Issue{}, outcome.Issues...)}
	err := out.answer(answer, func(w io.Writer) error {
		for _, issue := range answer.Issues {
			fmt.Fprintln(w, shown(issue.Text()))
		}
		if answer.Holds {
			fmt.Fprintln(w, "Everything holds.")
		}
		return nil
	})
	if err == nil && !answer.Holds {
		return errTold
	}
	return err
}
