package command

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
)

func prescriptionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prescription",
		Short: "Computes, shows and checks what is signed of a FHIR prescription",
		Long: `
A prescriber signs a digest of a FHIR prescription. These commands compute it as $prepare of the Electronic
Prescription Service (EPS) does, show what it covers, add a signature to the bundle, and check signed bundles as EPS
does. They work on files and send nothing.`,
	}
	cmd.AddCommand(prescriptionDigestCommand(), prescriptionShowCommand(), prescriptionCompleteCommand(), prescriptionVerifyCommand())
	return cmd
}

// preparation are the flags of commands that prepare bundles.
type preparation struct {
	at        string
	algorithm string
}

func (p *preparation) atFlag(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&p.at, "at", "", usage)
}

func (p *preparation) algorithmFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.algorithm, "algorithm", client.RS256, "RS256 or RS1")
}

// moment is the time of --at, or now.
func (p *preparation) moment() (time.Time, error) {
	if p.at == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, p.at)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %q is not a time; write it as 2026-11-30T12:00:00Z", p.at)
	}
	return at, nil
}

func (p *preparation) checkAlgorithm() error {
	if p.algorithm != client.RS256 && p.algorithm != client.RS1 {
		return fmt.Errorf("--algorithm %q: EPS knows RS256 and RS1", p.algorithm)
	}
	return nil
}

// readBundle reads a bundle from a file. The second error is the file's; the outcome is the bundle's.
func readBundle(path string) (*prescription.Bundle, *prescription.Outcome, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	b, err := prescription.ReadBundle(data)
	if err != nil {
		return nil, &prescription.Outcome{Issues: []prescription.Issue{prescription.Unreadable(err)}}, nil
	}
	return b, nil, nil
}

// prepareFile prepares the bundle in a file.
func prepareFile(path, algorithm string, at time.Time) (*prescription.Bundle, prescription.Prepared, *prescription.Outcome, error) {
	b, outcome, err := readBundle(path)
	if err != nil || outcome != nil {
		return nil, prescription.Prepared{}, outcome, err
	}
	prepared, outcome := prescription.Prepare(b, prescription.MayPrescribe, algorithm, at)
	return b, prepared, outcome, nil
}

// refusedBundle is the error for commands that cannot go on without a bundle that EPS would prepare.
func refusedBundle(path string, outcome *prescription.Outcome) error {
	text := path + " cannot be prepared:"
	for _, issue := range outcome.Issues {
		text += " " + issue.Text()
	}
	return fmt.Errorf("%s", text)
}
