package command

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/conformance"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// conformanceRun is one run of the command.
type conformanceRun struct {
	against, caFile, keyFile, secretFile string
	target                               conformance.Target
	barsTarget, junitFile, recordFile    string
	sections                             []string
	roles                                map[string]string
	options                              conformance.Options

	compare bool
}

func conformanceCommand() *cobra.Command {
	run := &conformanceRun{}
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Compares the answers of a service with the rules of the contract, row by row",
		Long: `
Sends the requests of the contract's tables to a gateway or to the integration environment, with your own client id
and key, and reports each answer that differs, with the number of its rule in docs/contract. It needs no person and no
card, sends a few requests a second, and refuses production hosts. Rows for which the service or your client lacks
something are skipped and listed. The exit status is 1 if a row differs.

--record writes what was answered to a file, without tokens, assertions, keys and people. --compare reads two such
files and reports how the two services differ.`,
		Example: `  caddy countersign conformance --against http://localhost:8080 \
    --client my-epr --kid MySupplier-INT-1 --key MySupplier-INT-1.pem --section tokens,signing
  caddy countersign conformance --compare real.json ours.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if run.compare {
				return cobra.ExactArgs(2)(cmd, args)
			}
			return cobra.NoArgs(cmd, args)
		},
	}
	run.flags(cmd)
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		if run.compare {
			return compareRecordings(out, args[0], args[1])
		}
		return run.run(ctx, out)
	})
}

func (r *conformanceRun) flags(cmd *cobra.Command) {
	flags, t := cmd.Flags(), &r.target
	flags.StringVar(&r.against, "against", "", "base `URL` of a gateway with /oauth2, /signing-service and /booking-and-referral/FHIR/R4")
	flags.StringVar(&t.Tokens, "tokens", "", "base `URL` of the token service; default: /oauth2 of --against")
	flags.StringVar(&t.Signing, "signing", "", "base `URL` of the Signing Service; default: /signing-service of --against")
	flags.StringVar(&t.BaRS, "bars", "", "base `URL` of the BaRS proxy; default: /booking-and-referral/FHIR/R4 of --against")
	flags.StringVar(&t.KeySet, "key-set", "", "`URL` of a key set to look at")
	flags.StringVar(&t.Audience, "audience", "", "aud of assertions, where it is another `URL` than the token URL")
	flags.StringVar(&t.SigningAudience, "signing-audience", "", "aud of signing requests, where it is another `URL` than --signing")
	flags.StringVar(&t.Client, "client", "", "client `id`: the API key of the application")
	flags.StringVar(&t.KID, "kid", "", "`kid` under which your key is registered")
	flags.StringVar(&r.keyFile, "key", "", "`file` with your RSA private key, in PEM")
	flags.StringVar(&t.User, "user", "", "SDS user `id` that signing requests name; default: 555086689106")
	flags.StringVar(&r.secretFile, "secret", "", "`file` with the client secret, for user-restricted grants")
	flags.StringVar(&t.RedirectURI, "redirect-uri", "", "redirect `URI` that is registered, for user-restricted grants")
	flags.StringVar(&r.barsTarget, "target", "", "BaRS target that the catalogue has, as `system|value`")
	flags.StringToStringVar(&r.roles, "role", nil, "a client with a particular lack, as `role=id`: revoked, keyless, away or scopeless; repeatable")
	flags.StringSliceVar(&r.sections, "section", nil, "`sections` to run: tokens, user-tokens, signing, bars, key-sets; default: all")
	flags.BoolVar(&r.options.SkipOurs, "skip-ours", false, "leave out rules that are this product's own, marked [ours] in docs/contract")
	flags.Float64Var(&r.options.PerSecond, "rate", 3, "requests a `second`")
	flags.StringVar(&r.caFile, "ca", "", "PEM `file` with the authority of the service's certificate; default: the system's")
	flags.StringVar(&r.junitFile, "junit", "", "`file` to write the results to as JUnit XML")
	flags.StringVar(&r.recordFile, "record", "", "`file` to write what was answered to; it must not exist yet")
	flags.BoolVar(&r.compare, "compare", false, "compare two recordings, which are the arguments")
	cmd.MarkFlagsMutuallyExclusive("compare", "against")
}

// run runs the cases and reports them.
func (r *conformanceRun) run(ctx context.Context, out output) error {
	if err := r.complete(); err != nil {
		return err
	}
	results, err := conformance.Run(ctx, r.target, conformance.Cases(), r.options)
	if err != nil {
		return err
	}
	if r.junitFile != "" {
		if err := r.writeJUnit(results); err != nil {
			return err
		}
	}
	if r.recordFile != "" {
		text, err := json.MarshalIndent(conformance.Record(r.target, results, time.Now()), "", "  ")
		if err != nil {
			return err
		}
		if err := writeNew(r.recordFile, append(text, '\n'), 0o600); err != nil {
			return fmt.Errorf("--record: %w", err)
		}
	}
	conforms := conformance.Conforms(results)
	answer := struct {
		Conforms bool                 `json:"conforms"`
		Results  []conformance.Result `json:"results"`
	}{conforms, results}
	err = out.answer(answer, func(w io.Writer) error { return tellResults(w, results) })
	if !conforms {
		return errors.Join(errTold, err)
	}
	return err
}

// complete reads files and fills in what --against implies.
func (r *conformanceRun) complete() error {
	t := &r.target
	if base := strings.TrimSuffix(r.against, "/"); base != "" {
		for _, of := range []struct {
			url  *string
			path string
		}{{&t.Tokens, "/oauth2"}, {&t.Signing, "/signing-service"}, {&t.BaRS, "/booking-and-referral/FHIR/R4"}} {
			if *of.url == "" {
				*of.url = base + of.path
			}
		}
	}
	if t.Tokens+t.Signing+t.BaRS+t.KeySet == "" {
		return errors.New("no service given: add --against, --tokens, --signing, --bars or --key-set")
	}
	for _, name := range r.sections {
		if !slices.Contains(conformance.Sections(), conformance.Section(name)) {
			return fmt.Errorf("unknown section %q: want tokens, user-tokens, signing, bars or key-sets", name)
		}
		r.options.Sections = append(r.options.Sections, conformance.Section(name))
	}
	t.Roles = map[conformance.Role]string{}
	for role, id := range r.roles {
		if !slices.Contains(conformance.Roles(), conformance.Role(role)) {
			return fmt.Errorf("unknown role %q: want revoked, keyless, away or scopeless", role)
		}
		t.Roles[conformance.Role(role)] = id
	}
	if r.options.PerSecond <= 0 {
		return fmt.Errorf("--rate %v: want more than 0 requests a second", r.options.PerSecond)
	}
	var targeted bool
	if t.System, t.Value, targeted = strings.Cut(r.barsTarget, "|"); r.barsTarget != "" && (!targeted || t.Value == "") {
		return fmt.Errorf("--target %q: want a system, | and a value", r.barsTarget)
	}
	t.Bearer = os.Getenv("COUNTERSIGN_BEARER")
	if err := r.readSecrets(); err != nil {
		return err
	}
	var err error
	t.HTTP, err = httpClient(r.caFile)
	return err
}

// readSecrets reads the private key and the client secret.
func (r *conformanceRun) readSecrets() error {
	if r.secretFile != "" {
		text, err := os.ReadFile(r.secretFile)
		if err != nil {
			return fmt.Errorf("--secret: %w", err)
		}
		r.target.Secret = strings.TrimSpace(string(text))
	}
	if r.keyFile == "" {
		return nil
	}
	signer, err := jwks.ReadSigner(r.target.KID, r.keyFile)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	block, _ := pem.Decode(signer.MarshalPEM())
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	r.target.Key, _ = private.(crypto.Signer) // it is RSA
	return nil
}

func (r *conformanceRun) writeJUnit(results []conformance.Result) (err error) {
	file, err := os.Create(r.junitFile)
	if err != nil {
		return fmt.Errorf("--junit: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return conformance.WriteJUnit(file, results)
}

// tellResults prints the results for people: what differs and what was not run, then a count of each outcome.
func tellResults(w io.Writer, results []conformance.Result) error {
	for _, result := range results {
		mark := ""
		if result.Ours {
			mark = " [ours]"
		}
		switch result.Outcome {
		case conformance.Differs:
			fmt.Fprintf(w, "differs  %s%s\n", shown(result.ID()), mark)
			for _, d := range result.Differences {
				fmt.Fprintf(w, "           %s\n", shown(d.String()))
			}
		case conformance.Failed, conformance.Skipped:
			fmt.Fprintf(w, "%-8s %s: %s\n", result.Outcome, shown(result.ID()), shown(result.Why))
		}
	}
	count := func(o conformance.Outcome) int { return conformance.Count(results, o) }
	_, err := fmt.Fprintf(w, "%s: %d as the rules demand, %d different, %d failed, %d skipped\n", counted(len(results), "row"),
		count(conformance.Same), count(conformance.Differs), count(conformance.Failed), count(conformance.Skipped))
	return err
}

// compareRecordings reports how two recordings differ.
func compareRecordings(out output, first, second string) error {
	var recordings [2]conformance.Recording
	for i, path := range []string{first, second} {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &recordings[i]); err != nil || len(recordings[i].Rows) == 0 {
			return fmt.Errorf("%s is not a recording: make one with --record", path)
		}
	}
	drift := conformance.Compare(recordings[0], recordings[1])
	answer := struct {
		Same  bool                `json:"same"`
		Drift []conformance.Drift `json:"drift"`
	}{len(drift) == 0, drift}
	err := out.answer(answer, func(w io.Writer) error {
		for _, d := range drift {
			fmt.Fprintf(w, "%s %s\n  %s: %s\n  %s: %s\n", shown(d.ID()), shown(d.What), first, shown(d.A), second, shown(d.B))
		}
		_, err := fmt.Fprintf(w, "%s\n", counted(len(drift), "difference"))
		return err
	})
	if len(drift) > 0 {
		return errors.Join(errTold, err)
	}
	return err
}
