package command

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/client"
)

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify <file>",
		Short: "Checks saved signatures again, without the service",
		Long: `
Checks a file that "caddy countersign sign" saved: every signature over what was asked to be signed, that nothing is
missing, added or in another order, that the certificate is the person's and was valid, and with --issuer who issued
it. Revocation is not looked at. The exit status is 1 if anything does not hold.`,
		Example: "  caddy countersign verify signatures.json --issuer nhs-level-1d.pem",
		Args:    cobra.ExactArgs(1),
	}
	issuers := cmd.Flags().StringArray("issuer", nil, "PEM `file` with certificates of issuers, one of which must have issued the card's; repeatable")
	anyUser := anyUserFlag(cmd)
	return newCommand(cmd, func(_ context.Context, out output, args []string) error {
		options := client.CheckOptions{AnyUser: *anyUser}
		for _, path := range *issuers {
			found, err := certificates.ReadPEM(path)
			if err != nil {
				return fmt.Errorf("--issuer %s: %w", path, err)
			}
			options.Issuers = append(options.Issuers, found...)
		}
		data, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		record, err := client.ParseRecord(data)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return newVerdict(args[0], record, options).tell(out)
	})
}

func anyUserFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("any-user", false, "accept the certificate of another person than the one who was asked")
}

// verdict is what sign and verify say of saved signatures.
type verdict struct {
	File        string           `json:"file"`
	Holds       bool             `json:"holds"`
	Problems    []string         `json:"problems"` // what does not hold
	Service     string           `json:"service"`
	Client      string           `json:"client"`
	Algorithm   string           `json:"algorithm"`
	Received    time.Time        `json:"received"`
	Items       []itemVerdict    `json:"items"`
	Certificate *certificateText `json:"certificate,omitempty"`
}

type itemVerdict struct {
	ID       string `json:"id"`
	Verified bool   `json:"verified"`
	Reason   string `json:"reason,omitempty"`
}

type certificateText struct {
	Subject       string    `json:"subject"`
	Issuer        string    `json:"issuer"`
	Serial        string    `json:"serial"`
	NotBefore     time.Time `json:"notBefore"`
	NotAfter      time.Time `json:"notAfter"`
	IssuerChecked bool      `json:"issuerChecked"` // whether issuers were given to hold it to
}

func newVerdict(file string, record client.Record, options client.CheckOptions) verdict {
	report := record.Check(options)
	v := verdict{
		File: file, Holds: len(report.Problems) == 0, Problems: append([]string{}, report.Problems...),
		Service: record.Service, Client: record.Client, Algorithm: record.Algorithm, Received: record.Received,
		Items: []itemVerdict{},
	}
	for _, r := range report.Results {
		v.Items = append(v.Items, itemVerdict{ID: r.ID, Verified: r.Verified, Reason: r.Reason})
	}
	if leaf := report.Certificate; leaf != nil {
		v.Certificate = describe(leaf)
		v.Certificate.IssuerChecked = len(options.Issuers) > 0
	}
	return v
}

func describe(leaf *x509.Certificate) *certificateText {
	return &certificateText{
		Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Serial: leaf.SerialNumber.Text(16),
		NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(),
	}
}

// tell prints the verdict; one that does not hold ends the command with exit status 1.
func (v verdict) tell(out output) error {
	if err := out.answer(v, v.text); err != nil {
		return err
	}
	if !v.Holds {
		return errTold
	}
	return nil
}

func (v verdict) text(w io.Writer) error {
	table := newTable(w)
	good := 0
	if len(v.Items) > 0 {
		table.row("ITEM", "SIGNATURE")
	}
	for _, item := range v.Items {
		said := "verified"
		if item.Verified {
			good++
		} else {
			said = "NOT VERIFIED: " + item.Reason
		}
		table.row(item.ID, said)
	}
	table.end()
	if c := v.Certificate; c != nil {
		issuer := c.Issuer
		if !c.IssuerChecked {
			issuer += " (not checked; name its certificate with --issuer)"
		}
		table.row("Signed by", c.Subject)
		table.row("Issued by", issuer)
		table.row("Valid", minute(c.NotBefore)+" to "+minute(c.NotAfter))
	}
	table.row("Received", minute(v.Received)+" by "+v.Client+" from "+v.Service)
	table.row("File", v.File)
	table.end()
	fmt.Fprintf(w, "%d of %d signatures verified with %s.\n", good, len(v.Items), shown(v.Algorithm))
	for _, problem := range v.Problems {
		fmt.Fprintf(w, "DOES NOT HOLD: %s.\n", shown(problem))
	}
	if v.Holds {
		fmt.Fprintln(w, "Everything holds.")
	} else {
		fmt.Fprintln(w, "Use none of these signatures.")
	}
	return nil
}
