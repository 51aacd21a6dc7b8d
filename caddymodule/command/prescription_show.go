package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
)

func prescriptionShowCommand() *cobra.Command {
	flags := &preparation{algorithm: client.RS256}
	cmd := &cobra.Command{
		Use:   "show <bundle>...",
		Short: "Shows what is signed of a prescription",
		Long: `
Prepares each bundle and shows what a signature covers, read back from the fragments that are digested rather than from
the bundle. Texts are shown letter by letter; invisible characters are shown by name, as [U+202E]. Values that are
not shown are not signed. The exit status is 1 if a bundle cannot be prepared.`,
		Example: "  caddy countersign prescription show bundle.json",
		Args:    cobra.MinimumNArgs(1),
	}
	flags.atFlag(cmd, "`time` of signing, such as 2026-11-30T12:00:00Z; default: now")
	return newCommand(cmd, func(_ context.Context, out output, files []string) error {
		at, err := flags.moment()
		if err != nil {
			return err
		}
		var all []*prescription.Prescription
		for _, path := range files {
			_, prepared, outcome, err := prepareFile(path, flags.algorithm, at)
			switch {
			case err != nil:
				return err
			case outcome != nil:
				return refusedBundle(path, outcome)
			}
			signed, err := prescription.Display(prepared.Fragments, prepared.SignedInfo)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, signed)
		}
		return out.answer(all, func(w io.Writer) error { return showPrescriptions(w, all) })
	})
}

func showPrescriptions(w io.Writer, all []*prescription.Prescription) error {
	items := 0
	patients := map[string]bool{}
	for _, p := range all {
		items += len(p.Items)
		patients[p.Patient.NHSNumber] = true
		sheet := &sheet{w: w}
		sheet.prescription(p)
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "%s, %s, %s.\nNot signed, and so not shown: nominated pharmacy, type, validity, dates of writing, responsible practitioner.\n",
		counted(len(all), "prescription"), counted(items, "item"), counted(len(patients), "patient"))
	return err
}

// sheet writes labelled lines.
type sheet struct{ w io.Writer }

// line writes a text beside its label, if there is any. Its further lines stand below it.
func (s *sheet) line(label, text string) {
	if text == "" {
		return
	}
	for _, line := range strings.Split(prescription.Visible(text), "\n") {
		fmt.Fprintf(s.w, "%-15s%s\n", label, line)
		label = ""
	}
}

func (s *sheet) prescription(p *prescription.Prescription) {
	s.line("Prescription", p.ID)
	s.line("Signed at", second(p.Signed))
	s.patient(&p.Patient)
	for i := range p.Items {
		s.item(fmt.Sprintf("Item %d", i+1), &p.Items[i])
	}
	s.author(&p.Author)
}

func (s *sheet) patient(p *prescription.Patient) {
	s.line("Patient", joined("  ", p.Heading(), "Born "+p.BornText(), "Gender "+p.GenderText(), "NHS No. "+p.NHSNumberText()))
	for i := range p.Names {
		s.line("  Name", used(p.Names[i].Use, p.Names[i].String()))
	}
	for i := range p.Addresses {
		s.line("  Address", addressText(&p.Addresses[i]))
	}
	for _, t := range p.Telecoms {
		s.line("  Telecom", used(t.Use, t.Value))
	}
	s.line("  Practice", p.Practice)
}

func (s *sheet) item(label string, i *prescription.Item) {
	name := i.Drug.Name
	if name == "" {
		name = "(no name)"
	}
	s.line(label, name+"  SNOMED "+i.Drug.Code)
	s.line("  Dosage", i.Dosage)
	unit := ""
	if i.Quantity.UnitCode != "" {
		unit = "SNOMED " + i.Quantity.UnitCode
	}
	s.line("  Quantity", joined("  ", joined(" ", i.Quantity.Value, i.Quantity.Unit), unit))
	if words, there := i.Instructions.QuantityInWords(); there {
		s.line("  In words", words)
	}
	if i.Repeats != "" {
		s.line("  Repeat", "up to "+i.Repeats+" issues")
	}
	s.line("  Endorsed", strings.Join(i.Endorsements, ", "))
	s.line("  Instructions", i.Instructions.Text)
	for _, text := range i.Instructions.Medications {
		s.line("  Takes", text)
	}
	for _, text := range i.Instructions.PatientInfo {
		s.line("  To patient", text)
	}
	s.line("  Item id", i.ID)
}

func (s *sheet) author(a *prescription.Author) {
	name := ""
	if a.Name != nil {
		name = a.Name.String()
	}
	s.line("Prescriber", joined("  ", name, a.ProfessionalCode))
	s.line("  Role", joined("  ", a.JobRole, a.RoleProfile))
	for _, t := range a.Telecoms {
		s.line("  Telecom", used(t.Use, t.Value))
	}
	o := &a.Organisation
	s.line("Organisation", joined("  ", o.Name, o.ODS))
	s.line("  Address", addressText(&o.Address))
	s.line("  Telecom", used(o.Telecom.Use, o.Telecom.Value))
	s.line("  Part of", joined("  ", o.Parent.Name, o.Parent.ODS))
}

func addressText(a *prescription.Address) string {
	return used(a.Use, strings.Join(append(append([]string{}, a.Lines...), a.PostalCode), ", "))
}

// used is a text with the use that it is for.
func used(use, text string) string {
	if use != "" {
		use = "(" + use + ")"
	}
	return joined(" ", text, use)
}

// joined are those texts that are not empty.
func joined(between string, texts ...string) string {
	var there []string
	for _, text := range texts {
		if text != "" {
			there = append(there, text)
		}
	}
	return strings.Join(there, between)
}
