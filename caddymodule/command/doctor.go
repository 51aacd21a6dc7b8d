package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
)

// doctorRun is one run of the command.
type doctorRun struct {
	config, adapter, dir, caFile string
	environment                  string
	sender                       senderSubject
	receiver                     receiverSubject
	fqdn                         string
	strict                       bool

	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: the system's
}

func doctorCommand() *cobra.Command { return (&doctorRun{}).command() }

func (r *doctorRun) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Finds what keeps a sender or a receiver from working, and names the fix",
		Long: `
Checks what a system needs for BaRS and API Management, each by itself: this machine's clock, the kid, the private key
against the published key set, aud, a token (asked for and thrown away; each refusal is explained), the FQDN against
the certificate, DNS, the chain and its environment, the expiry of leaf and CA, and egress both ways. What to check is
read from a configuration (--config), from onboarding.json (--dir), or said by flags, which add to what is read.`,
		Example: `  caddy countersign doctor --config Caddyfile
  caddy countersign doctor --environment int --client $API_KEY --kid MySupplier-INT-1 --key MySupplier-INT-1.pem`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&r.config, "config", "", "Caddyfile or JSON `file` with apim_sender or bars_receiver")
	flags.StringVar(&r.adapter, "adapter", "", "`name` of the configuration's adapter, if it is not JSON and its name does not tell")
	flags.StringVar(&r.dir, "dir", "", "`directory` with onboarding.json")
	flags.StringVar(&r.environment, "environment", "", "the `environment`, int or prod")
	flags.StringVar(&r.sender.tokenURL, "token-url", "", "`URL` of the token service; default: the environment's at NHS England")
	flags.StringVar(&r.sender.audience, "audience", "", "aud, where it is another `URL` than --token-url")
	flags.StringVar(&r.sender.client, "client", "", "client `id`: the API key of the application")
	flags.StringVar(&r.sender.kid, "kid", "", "`kid` under which the key is registered")
	flags.StringVar(&r.sender.keyFile, "key", "", "PEM `file` with the private key")
	flags.StringVar(&r.sender.published, "jwks", "", "`URL or file` of the key set that is registered")
	flags.StringVar(&r.caFile, "ca", "", "PEM `file` with the authority of the token service's certificate; default: the system's")
	flags.StringVar(&r.fqdn, "fqdn", "", "`name` of the receiver")
	flags.StringVar(&r.receiver.certificate, "certificate", "", "PEM `file` with the receiver's certificate")
	flags.StringVar(&r.receiver.key, "tls-key", "", "PEM `file` with the key of --certificate")
	flags.StringSliceVar(&r.receiver.chain, "chain", nil, "PEM `files` with the environment's root and sub certificates")
	flags.StringVar(&r.receiver.ip, "ip", "", "public `address` that the name should resolve to")
	flags.BoolVar(&r.strict, "strict", false, "a name that breaks the rules is a failure, not a warning")
	return newCommand(cmd, r.run)
}

func (r *doctorRun) run(ctx context.Context, out output, _ []string) error {
	found, err := r.patients()
	if err != nil {
		return err
	}
	if len(found.senders)+len(found.receivers) == 0 {
		return errors.New("nothing to check: give --config with a Caddyfile that has apim_sender or bars_receiver, --dir, or flags such as --kid and --key, or --fqdn")
	}
	through, err := httpClient(r.caFile)
	if err != nil {
		return err
	}
	through.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	d := newDoctor(through)
	d.strict = r.strict
	if r.resolve != nil {
		d.resolve = r.resolve
	}
	for _, s := range found.senders {
		d.sender(ctx, s)
	}
	for _, s := range found.receivers {
		d.receiver(ctx, s)
	}
	answer := struct {
		OK       bool      `json:"ok"`
		Findings []finding `json:"findings"`
	}{!d.ill(), d.findings}
	err = out.answer(answer, func(w io.Writer) error { return tellFindings(w, d.findings) })
	if d.ill() {
		return errors.Join(errTold, err)
	}
	return err
}

// tellFindings prints one line per check, and below each failed one what to do.
func tellFindings(w io.Writer, findings []finding) error {
	count := map[condition]int{}
	table := newTable(w)
	for _, f := range findings {
		count[f.Condition]++
		table.row(string(f.Condition), f.Check, f.Of, f.Found)
	}
	table.end()
	for _, f := range findings {
		if f.Fix != "" {
			fmt.Fprintf(w, "%s of %s: %s\n  What to do: %s\n\n", shown(f.Check), shown(f.Of), shown(f.Found), shown(f.Fix))
		}
	}
	_, err := fmt.Fprintf(w, "%d checks: %d well, %d with a warning, %d failed.\n", len(findings), count[conditionOK], count[conditionWarning], count[conditionFailed])
	return err
}

// patients returns the senders and receivers of the configuration, and those that onboarding.json and the flags describe.
func (r *doctorRun) patients() (patients, error) {
	var found patients
	if r.config != "" {
		text, _, _, err := caddycmd.LoadConfig(r.config, r.adapter)
		if err != nil {
			return found, fmt.Errorf("--config: %w", err)
		}
		if found, err = findPatients(text); err != nil {
			return found, err
		}
		for i := range found.senders {
			r.addTo(&found.senders[i])
		}
	}
	if err := r.readProfile(); err != nil {
		return found, err
	}
	if r.environment == "" && (r.sender.keyFile != "" && r.config == "" || r.fqdn != "") {
		return found, errors.New("give --environment int or prod")
	}
	if r.sender.keyFile != "" && r.config == "" {
		s := r.sender
		s.environment = caddymodule.Environment(r.environment)
		if err := s.environment.Check(); err != nil {
			return found, err
		}
		if s.tokenURL == "" {
			s.tokenURL = s.environment.TokenURL()
		}
		if s.audience == "" {
			s.audience = s.tokenURL
		}
		found.senders = append(found.senders, s)
	}
	if r.fqdn != "" {
		s := r.receiver
		s.environment, s.fqdn = bars.Environment(r.environment), []string{r.fqdn}
		found.receivers = append(found.receivers, s)
	}
	return found, nil
}

// addTo adds to a configured sender what the configuration cannot know.
func (r *doctorRun) addTo(s *senderSubject) { s.published = r.sender.published }

// readProfile takes from onboarding.json what no flag gives.
func (r *doctorRun) readProfile() error {
	if r.dir == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(r.dir, profileFile))
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	var p bars.Profile
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("--dir: %s: %w", profileFile, err)
	}
	if r.environment != "" && p.Environment != "" && r.environment != string(p.Environment) {
		return fmt.Errorf("--dir: %s is for %s, but --environment is %s", profileFile, p.Environment, r.environment)
	}
	fill := func(into *string, value string) {
		if *into == "" {
			*into = value
		}
	}
	fill(&r.environment, string(p.Environment))
	fill(&r.fqdn, p.FQDN)
	fill(&r.receiver.ip, p.IP)
	if p.KID != "" {
		fill(&r.sender.kid, p.KID)
		fill(&r.sender.keyFile, filepath.Join(r.dir, p.KID+".pem"))
	}
	if p.FQDN != "" && r.receiver.certificate != "" {
		fill(&r.receiver.key, filepath.Join(r.dir, p.FQDN+".key"))
	}
	return nil
}
