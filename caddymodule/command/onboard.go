package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/durable"
)

// profileFile keeps the given values for later commands.
const profileFile = "onboarding.json"

// onboardRun is one run of a subcommand of onboard.
type onboardRun struct {
	dir     string
	profile bars.Profile // from the flags
	saved   bars.Profile // from the file, then merged with the flags
	advice  []string
}

func onboardCommand() *cobra.Command {
	run := &onboardRun{}
	cmd := &cobra.Command{
		Use:   "onboard",
		Short: "Guides through connecting a system to BaRS, step by step",
		Long: `
Connecting a system to the Booking and Referral Standard takes seven steps, with people at NHS England on the way.
There is a command for each; it makes the files, writes the letter to whoever has to be asked, and says what comes
next. What a flag has said once is kept in onboarding.json of --dir, and need not be said again. Nothing is sent.

  portal       account, team and application in the developer portal
  key          the key pair that tokens are asked with, and its key set
  register     the letter that has the public key registered
  csr          the TLS key and the certificate signing request
  certificate  the letter that asks for the certificate
  dns          the letter that asks for the DNS record
  catalogue    the letter that has senders find you

  status       where you are
  done         notes that a step that people do is done`,
		Example: `  caddy countersign onboard portal --environment int --name MySupplier
  caddy countersign onboard key
  caddy countersign onboard status`,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&run.dir, "dir", ".", "`directory` of onboarding.json and the files")
	flags.StringVar((*string)(&run.profile.Environment), "environment", "", "the `environment`, int or prod")
	for _, f := range run.fields() {
		flags.StringVar(f.flag, f.name, "", f.usage)
	}
	for _, step := range []*cobra.Command{
		run.portalCommand(), run.keyCommand(), run.letterCommand(bars.StepRegister, "Writes the letter that has the public key registered"),
		run.csrCommand(), run.letterCommand(bars.StepCertificate, "Writes the letter that asks for the TLS certificate"),
		run.letterCommand(bars.StepDNS, "Writes the letter that asks for the DNS record"),
		run.letterCommand(bars.StepCatalogue, "Writes the letter that has senders find the receiver"),
		run.statusCommand(), run.doneCommand(),
	} {
		cmd.AddCommand(step)
	}
	return cmd
}

// field is a part of the profile that a flag gives.
type field struct {
	name, usage string
	flag, saved *string
}

func (o *onboardRun) fields() []field {
	f, s := &o.profile, &o.saved
	return []field{
		{"name", "`name` of the supplier or provider, as the kid has it, such as MySupplier", &f.Name, &s.Name},
		{"organisation", "`code` (ODS) of the organisation", &f.Organisation, &s.Organisation},
		{"app-id", "`id` of the application in the developer portal", &f.AppID, &s.AppID},
		{"app-name", "`name` of the application in the developer portal", &f.AppName, &s.AppName},
		{"int-app-name", "for prod: `name` of the application used on INT", &f.IntAppName, &s.IntAppName},
		{"kid", "`kid` of the key; default: <name>-<INT|PROD>-1", &f.KID, &s.KID},
		{"fqdn", "the receiver's `name`, such as BaRS-INT-X26.MySupplier.thirdparty.nhs.uk", &f.FQDN, &s.FQDN},
		{"ip", "public `address` of the receiver", &f.IP, &s.IP},
		{"url", "base `URL` of the receiver, for the endpoint catalogue", &f.URL, &s.URL},
		{"target", "`id` of the service, by which senders find the receiver", &f.Target, &s.Target},
	}
}

// open reads the saved values, adds the given ones, and saves both.
func (o *onboardRun) open() error {
	text, err := os.ReadFile(o.path(profileFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(text, &o.saved); err != nil {
			return fmt.Errorf("%s: %w", o.path(profileFile), err)
		}
	}
	if said := o.profile.Environment; said != "" && o.saved.Environment != "" && said != o.saved.Environment {
		return fmt.Errorf("%s is for %s: use another --dir for %s", o.path(profileFile), o.saved.Environment, said)
	}
	if o.profile.Environment != "" {
		o.saved.Environment = o.profile.Environment
	}
	for _, f := range o.fields() {
		if *f.flag != "" {
			if strings.ContainsAny(*f.flag, "\r\n") {
				return fmt.Errorf("--%s has a line break in it", f.name)
			}
			*f.saved = *f.flag
		}
	}
	if o.saved.KID == "" && o.saved.Name != "" {
		o.saved.KID = o.saved.Name + "-" + strings.ToUpper(string(o.saved.Environment)) + "-1"
	}
	if o.advice, err = o.saved.Check(); err != nil {
		return err
	}
	return o.save()
}

func (o *onboardRun) save() error {
	text, err := json.MarshalIndent(o.saved, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	return durable.WriteFile(o.path(profileFile), append(text, '\n'), 0o600)
}

func (o *onboardRun) path(name string) string { return filepath.Join(o.dir, name) }

// keyFiles are the files that the steps key and csr make.
func (o *onboardRun) publicKey() string { return o.path(o.saved.KID + ".pub.pem") }
func (o *onboardRun) request() string   { return o.path(o.saved.FQDN + ".csr") }

// isDone reports whether a step is done, by its files or, if it has none, by what was noted.
func (o *onboardRun) isDone(step bars.Step) bool {
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	switch step {
	case bars.StepPortal:
		return o.saved.AppID != "" && o.saved.AppName != ""
	case bars.StepKey:
		return o.saved.KID != "" && exists(o.publicKey())
	case bars.StepCSR:
		return o.saved.FQDN != "" && exists(o.request())
	}
	return o.saved.Done[step] != ""
}

// next returns what to do after a step.
func (o *onboardRun) next() string {
	for _, step := range bars.Steps() {
		if !o.isDone(step) {
			return map[bars.Step]string{
				bars.StepPortal:      "make the application in the developer portal (caddy countersign onboard portal), then tell its id and name: caddy countersign onboard key --app-id … --app-name …",
				bars.StepKey:         "caddy countersign onboard key",
				bars.StepRegister:    "caddy countersign onboard register; send it; when they have answered: caddy countersign onboard done register",
				bars.StepCSR:         "caddy countersign onboard csr --fqdn BaRS-INT-…",
				bars.StepCertificate: "caddy countersign onboard certificate --organisation <code>; send it; when the certificate has come: caddy countersign onboard done certificate",
				bars.StepDNS:         "caddy countersign onboard dns --ip <public address>; send it; when the name resolves: caddy countersign onboard done dns",
				bars.StepCatalogue:   "caddy countersign onboard catalogue --url … --target …; send it; when they have answered: caddy countersign onboard done catalogue",
			}[step]
		}
	}
	return "caddy countersign doctor, which checks all of it against the world"
}

// tell prints notes and the next step.
func (o *onboardRun) tell(w io.Writer, note string) error {
	for _, advice := range append(o.advice, note) {
		if advice != "" {
			fmt.Fprintf(w, "\nNote: %s\n", advice)
		}
	}
	_, err := fmt.Fprintf(w, "\nNext: %s\n", o.next())
	return err
}

func (o *onboardRun) doneCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "done <step>", Short: "Notes that a manual step is done", Args: cobra.ExactArgs(1)}
	return newCommand(cmd, func(_ context.Context, out output, args []string) error {
		if err := o.open(); err != nil {
			return err
		}
		step := bars.Step(args[0])
		if _, err := o.saved.Letter(step); err != nil {
			return fmt.Errorf("%w: the manual steps are register, certificate, dns and catalogue", err)
		}
		if o.saved.Done == nil {
			o.saved.Done = map[bars.Step]string{}
		}
		o.saved.Done[step] = time.Now().UTC().Format(time.DateOnly)
		if err := o.save(); err != nil {
			return err
		}
		return out.answer(map[string]string{"done": args[0], "next": o.next()}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Noted.\n\nNext: %s\n", o.next())
			return err
		})
	})
}
