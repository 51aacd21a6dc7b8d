package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// tokenRun is one run of the command.
type tokenRun struct {
	url, audience, client, kid, keyFile, caFile string

	assertionOnly bool
}

func tokenCommand() *cobra.Command {
	run := &tokenRun{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Gets an access token, or explains why there is none",
		Long: `
Mints an assertion with your private key, posts it to a token service, and prints the access token: alone on standard
output, so that a script can use it. A refusal is printed with what it means and what to do. With --assertion the
assertion itself is printed and nothing is sent; it holds for four minutes and one use.`,
		Example: `  caddy countersign token --url http://localhost:8080/oauth2/token \
    --client my-epr --kid MySupplier-INT-1 --key MySupplier-INT-1.pem`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&run.url, "url", "", "`URL` of the token service, which ends with /token")
	flags.StringVar(&run.audience, "audience", "", "aud of the assertion, where it is another `URL` than --url")
	flags.StringVar(&run.client, "client", "", "client `id`: the API key of the application")
	flags.StringVar(&run.kid, "kid", "", "`kid` under which your key is registered")
	flags.StringVar(&run.keyFile, "key", "", "`file` with your RSA private key, in PEM")
	flags.StringVar(&run.caFile, "ca", "", "PEM `file` with the authority of the service's certificate; default: the system's")
	flags.BoolVar(&run.assertionOnly, "assertion", false, "print the assertion, and send nothing")
	for _, name := range []string{"url", "client", "kid", "key"} {
		_ = cmd.MarkFlagRequired(name) // fails for a flag that does not exist only
	}
	return newCommand(cmd, func(ctx context.Context, out output, _ []string) error { return run.run(ctx, out) })
}

// gotToken is the answer where there is a token.
type gotToken struct {
	Token     string `json:"access_token"`
	ExpiresIn int    `json:"expires_in"`
	KID       string `json:"kid"`
}

// gotRefusal is the answer where the token service refused.
type gotRefusal struct {
	Status      int    `json:"status"`
	Error       string `json:"error,omitempty"`
	Description string `json:"error_description,omitempty"`
	MessageID   string `json:"message_id,omitempty"`
	Fix         string `json:"fix"`
}

func (t *tokenRun) run(ctx context.Context, out output) error {
	text, err := os.ReadFile(t.keyFile)
	if err != nil {
		return err
	}
	signer, err := jwks.ParseSigner(t.kid, text)
	if err != nil {
		return fmt.Errorf("%s: %w", t.keyFile, err)
	}
	audience := t.audience
	if audience == "" {
		audience = t.url
	}
	if t.assertionOnly {
		assertion, err := oauth.NewAssertion(signer, t.client, audience, time.Now())
		if err != nil {
			return err
		}
		return out.answer(map[string]string{"client_assertion": assertion}, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, assertion)
			return err
		})
	}
	client, err := httpClient(t.caFile)
	if err != nil {
		return err
	}
	source, err := oauth.NewSource(oauth.SourceOptions{
		TokenURL: t.url, Audience: audience, ClientID: t.client, HTTP: client,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return []*jwks.Signer{signer}, nil },
	})
	if err != nil {
		return err
	}
	token, err := source.Token(ctx)
	if refusal, ok := errors.AsType[*oauth.TokenError](err); ok {
		return tellRefusal(out, refusal)
	} else if err != nil {
		return fmt.Errorf("%w; check the URL, the network and --ca", err)
	}
	got := gotToken{token, int(time.Until(source.Expires(token)).Round(time.Second) / time.Second), t.kid}
	return out.answer(got, func(w io.Writer) error {
		fmt.Fprintf(out.stderr, "A token for %s, good for %d seconds:\n", t.client, got.ExpiresIn)
		_, err := fmt.Fprintln(w, got.Token)
		return err
	})
}

func tellRefusal(out output, e *oauth.TokenError) error {
	err := out.answer(gotRefusal{e.Status, e.Code, e.Description, e.MessageID, e.Fix()}, func(io.Writer) error {
		_, err := fmt.Fprintf(out.stderr, "No token: %s\nWhat to do: %s\n", e.Error(), e.Fix())
		return err
	})
	return errors.Join(errTold, err)
}
