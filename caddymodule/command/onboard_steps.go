package command

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/bars"
)

const portalSteps = `In NHS England's developer portal:

1. Make an account, or sign in.
2. Make a team, and invite whoever else works on it. An application that a person owns is lost with them.
3. Make an application: environment %s, owned by the team.
4. Give it a callback URL; for application-restricted access any https URL of yours does, since none is called.
5. Connect it to the API "%s".
   To try things out without any of this there is the sandbox: "Booking and Referral FHIR API (Sandbox Environment)".
6. Copy its API key: it is the client of apim_sender, and iss and sub of your assertions. Keep it as you keep a password.
7. Copy the application's id and name, and tell them to the next command: --app-id, --app-name.
`

func (o *onboardRun) portalCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "portal", Short: "Says what to do in the developer portal", Args: cobra.NoArgs}
	return newCommand(cmd, func(_ context.Context, out output, _ []string) error {
		if err := o.open(); err != nil {
			return err
		}
		where := "Integration test"
		if o.saved.Environment == bars.Production {
			where = "Production"
		}
		text := fmt.Sprintf(portalSteps, where, bars.PortalAPI(o.saved.Environment))
		return out.answer(map[string]string{"text": text, "next": o.next()}, func(w io.Writer) error {
			fmt.Fprint(w, text)
			return o.tell(w, "")
		})
	})
}

func (o *onboardRun) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Short: "Makes the key pair for requesting tokens, and its key set", Args: cobra.NoArgs,
		Long: `
Makes an RSA key pair of 4096 bits, named by the kid: <Supplier or Provider>-<INT|PROD>-<number>. The private key is
readable by you alone. A supplier with many providers makes one for each on PROD: give each its own --dir and --name.`,
	}
	return newCommand(cmd, func(_ context.Context, out output, _ []string) error {
		if err := o.open(); err != nil {
			return err
		}
		if o.saved.KID == "" {
			return errors.New("the kid is unknown: give --name (of the supplier or provider) or --kid")
		}
		if path := filepath.Join(o.dir, o.saved.KID+".pem"); (cmd.Flags().Changed("app-id") || cmd.Flags().Changed("app-name")) && exists(path) {
			return out.answer(map[string]string{"private_key": path, "next": o.next()}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Noted. The key %s already exists and is not changed.\n\nNext: %s\n", path, o.next())
				return err
			})
		}
		made, err := makeKeys(o.saved.KID, o.dir, 4096)
		if err != nil {
			return err
		}
		return out.answer(made, func(w io.Writer) error {
			fmt.Fprint(w, made.text())
			return o.tell(w, "")
		})
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// requested is the answer of the step csr.
type requested struct {
	FQDN    string   `json:"fqdn"`
	Key     string   `json:"private_key"`
	Request string   `json:"request"`
	Advice  []string `json:"advice,omitempty"`
	Next    string   `json:"next"`
}

func (o *onboardRun) csrCommand() *cobra.Command {
	var bits int
	var strict bool
	cmd := &cobra.Command{
		Use: "csr", Short: "Makes the TLS key and the certificate signing request", Args: cobra.NoArgs,
		Long: `
Makes an RSA key for TLS and a certificate signing request as NHS England signs them: the FQDN is the CN and the only
subject alternative name, all other fields are blank, and there is no e-mail address. It never overwrites a file.`,
		Example: `  caddy countersign onboard csr --fqdn BaRS-INT-X26.MySupplier.thirdparty.nhs.uk`,
	}
	cmd.Flags().IntVar(&bits, "bits", 2048, "`length` of the key, at least 2048")
	cmd.Flags().BoolVar(&strict, "strict", false, "refuse a name that breaks the rules, instead of noting it")
	return newCommand(cmd, func(_ context.Context, out output, _ []string) error {
		if err := o.open(); err != nil {
			return err
		}
		return o.csr(out, bits, strict)
	})
}

func (o *onboardRun) csr(out output, bits int, strict bool) error {
	fqdn := o.saved.FQDN
	switch {
	case fqdn == "":
		return errors.New("the receiver's name is unknown: give --fqdn, such as BaRS-INT-X26.MySupplier.thirdparty.nhs.uk")
	case !word(fqdn, true):
		return fmt.Errorf("%.64q is not a host name", fqdn)
	case bits < 2048 || bits > 8192:
		return fmt.Errorf("a key of %d bits is too short: use at least 2048", bits)
	}
	if _, err := bars.ParseFQDN(fqdn); err != nil && strict {
		return err
	}
	made := requested{FQDN: fqdn, Key: o.path(fqdn + ".key"), Request: o.request(), Advice: o.advice}
	for _, path := range []string{made.Key, made.Request} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s already exists and is not overwritten: choose another --dir to make a new one", path)
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return err
	}
	request, err := bars.NewRequest(fqdn, key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(made.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	if err := writeNew(made.Request, request, 0o644); err != nil {
		return err
	}
	made.Next = o.next()
	return out.answer(made, func(w io.Writer) error {
		fmt.Fprintf(w, "TLS key  %s   (keep it; only you can read it)\nRequest  %s   (CN and only SAN: %s)\n", made.Key, made.Request, fqdn)
		return o.tell(w, "")
	})
}

// written is the answer of the steps with a letter.
type written struct {
	bars.Letter
	Advice []string `json:"advice,omitempty"`
	Next   string   `json:"next"`
}

func (o *onboardRun) letterCommand(step bars.Step, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(step), Short: short, Args: cobra.NoArgs,
		Long: "\nPrints a letter that is ready to be sent, to whom, and with which files. It sends nothing.\nWith onboard done " + string(step) + " you note that they have answered.",
	}
	return newCommand(cmd, func(_ context.Context, out output, _ []string) error {
		if err := o.open(); err != nil {
			return err
		}
		var attach []string
		switch step {
		case bars.StepRegister:
			attach = append(attach, o.publicKey())
		case bars.StepCertificate:
			attach = append(attach, o.request())
		}
		letter, err := o.saved.Letter(step, attach...)
		if err != nil {
			return err
		}
		for _, file := range attach {
			if _, err := os.Stat(file); err != nil {
				return fmt.Errorf("%w; make it first: %s", err, o.next())
			}
		}
		return out.answer(written{letter, o.advice, o.next()}, func(w io.Writer) error {
			fmt.Fprint(w, letter.Text())
			return o.tell(w, letter.Note)
		})
	})
}

// stepStatus is where a step is.
type stepStatus struct {
	Step bars.Step `json:"step"`
	Done bool      `json:"done"`
	On   string    `json:"on,omitempty"`
}

func (o *onboardRun) statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Says which steps are done, and what comes next", Args: cobra.NoArgs}
	return newCommand(cmd, func(_ context.Context, out output, _ []string) error {
		if err := o.open(); err != nil {
			return err
		}
		answer := struct {
			Profile bars.Profile `json:"profile"`
			Steps   []stepStatus `json:"steps"`
			Next    string       `json:"next"`
		}{Profile: o.saved, Next: o.next()}
		for _, step := range bars.Steps() {
			answer.Steps = append(answer.Steps, stepStatus{step, o.isDone(step), o.saved.Done[step]})
		}
		return out.answer(answer, func(w io.Writer) error {
			table := newTable(w)
			for _, s := range answer.Steps {
				table.row(string(s.Step), map[bool]string{true: "done", false: "open"}[s.Done], s.On)
			}
			if err := table.Flush(); err != nil {
				return err
			}
			return o.tell(w, "")
		})
	})
}
