package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// openerFails is how long a browser's opener may take to say that there is no browser.
const openerFails = 2 * time.Second

func signCommand() *cobra.Command { return newSignCommand(openBrowser, time.Second) }

// signRun is one run of the command.
type signRun struct {
	url, audience, client, kid, keyFile, sub, algorithm, outFile, caFile, tokenURL, bearer string

	mock, noBrowser, anyUser bool
	timeout                  time.Duration

	bundles []*bundleToSign

	browse func(ctx context.Context, address string) error
	poll   time.Duration // between two questions whether it is signed
}

func newSignCommand(browse func(context.Context, string) error, poll time.Duration) *cobra.Command {
	run := &signRun{browse: browse, poll: poll}
	cmd := &cobra.Command{
		Use:   "sign <file>...",
		Short: "Has files signed by a person's smartcard",
		Long: `
Asks a Signing Service to have files signed. A file is a prescription (a FHIR bundle as JSON), which is prepared as the
Electronic Prescription Service's $prepare does and whose signed form is written to <file>.signed.json; or a saved
answer of $prepare (FHIR Parameters as JSON); or anything else, which is signed as it is. The command opens the
signing page in a browser and waits, or with --mock completes the page by itself if the service has a mock smartcard.
The answer is verified and saved together with what was asked; "caddy countersign verify" can verify it again. The key
must be registered with the service under the client id and kid.`,
		Example: `  caddy countersign sign --url http://localhost:8080/signing-service \
    --client my-epr --kid my-epr-1 --key my-epr.pem --sub 555086689106 --mock prepared-*.json`,
		Args: cobra.MinimumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&run.url, "url", "", "base `URL` of the Signing Service, such as https://host/signing-service")
	flags.StringVar(&run.audience, "audience", "", "public `URL` of the service, where it is another than --url")
	flags.StringVar(&run.client, "client", "", "client `id` that the service knows you by")
	flags.StringVar(&run.kid, "kid", "", "`kid` under which your key is registered")
	flags.StringVar(&run.keyFile, "key", "", "`file` with your RSA private key, in PEM")
	flags.StringVar(&run.sub, "sub", "", "SDS user `id` of the person who signs, twelve digits")
	flags.StringVar(&run.algorithm, "algorithm", "", "RS256, RS1 or PS256; default: what the files name, or else RS256")
	flags.StringVar(&run.outFile, "out", "signatures.json", "`file` to save the signatures to; it must not exist yet")
	flags.StringVar(&run.caFile, "ca", "", "PEM `file` with the authority of the service's certificate; default: the system's")
	flags.StringVar(&run.tokenURL, "token-url", "", "`URL` of the token service, where the service wants access tokens; the same key asks for them")
	flags.StringVar(&run.bearer, "bearer", "", "access `token` to send; better in the environment variable COUNTERSIGN_BEARER, which others cannot see")
	flags.BoolVar(&run.mock, "mock", false, "complete the page by itself with the service's mock smartcard")
	flags.BoolVar(&run.noBrowser, "no-browser", false, "print the page's address instead of opening it")
	flags.DurationVar(&run.timeout, "timeout", 30*time.Minute, "how long to wait for the person")
	anyUser := anyUserFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("token-url", "bearer")
	for _, name := range []string{"url", "client", "kid", "key", "sub"} {
		_ = cmd.MarkFlagRequired(name) // fails for a flag that does not exist only
	}
	return newCommand(cmd, func(ctx context.Context, out output, files []string) error {
		run.anyUser = *anyUser
		if run.bearer == "" && run.tokenURL == "" {
			run.bearer = os.Getenv("COUNTERSIGN_BEARER")
		}
		return run.run(ctx, out, files)
	})
}

func (s *signRun) run(ctx context.Context, out output, files []string) (err error) {
	progress := newProgress(out.stderr)
	payloads, err := s.read(files, progress)
	if err != nil {
		return err
	}
	if err := s.prepareBundles(payloads, time.Now(), progress); err != nil {
		return err
	}
	service, err := s.service()
	if err != nil {
		return err
	}
	defer s.closeSigned()
	if err := s.openSigned(); err != nil {
		return err
	}
	// Nobody shall sign and then find that the signatures cannot be kept.
	file, err := createNew(s.outFile, "name another file with --out")
	if err != nil {
		return err
	}
	saved := false
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
		if !saved {
			_ = os.Remove(s.outFile) // it is empty
		}
	}()
	record := client.Record{
		Service: s.url, Client: s.client, Sub: s.sub, Algorithm: s.algorithm, Payloads: payloads, Requested: time.Now().UTC(),
	}
	if record.Response, err = s.sign(ctx, service, payloads, progress); err != nil {
		return err
	}
	record.Received = time.Now().UTC()
	data, err := record.Marshal()
	if err != nil {
		return err
	}
	if _, err := file.Write(append(data, '\n')); err != nil {
		return err
	}
	saved = true
	v := newVerdict(s.outFile, record, client.CheckOptions{AnyUser: s.anyUser})
	if v.Holds {
		if err := s.complete(record.Response, progress); err != nil {
			return fmt.Errorf("%w; the signatures are in %s", err, s.outFile)
		}
	}
	return v.tell(out)
}

// read makes a payload of each file, and settles the algorithm.
func (s *signRun) read(files []string, progress *progress) ([]client.Payload, error) {
	from := "--algorithm"
	payloads := make([]client.Payload, len(files))
	names := make(map[string]string, len(files))
	for i, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		read, err := s.readFile(path, data, i, progress)
		if err != nil {
			return nil, err
		}
		if read.ID == "" {
			read.ID = filepath.Base(path)
		}
		if other, twice := names[read.ID]; twice {
			return nil, fmt.Errorf("%s and %s are both called %q; every item needs a name of its own: rename a file, or prepare it again", other, path, read.ID)
		}
		names[read.ID] = path
		switch {
		case read.Algorithm == "":
		case s.algorithm == "":
			s.algorithm, from = read.Algorithm, path
		case s.algorithm != read.Algorithm:
			return nil, fmt.Errorf("%s is to be signed with %s, but %s says %s; one request has one algorithm: sign them apart", path, read.Algorithm, from, s.algorithm)
		}
		payloads[i] = client.NewPayload(read.ID, read.Payload)
	}
	if s.algorithm == "" {
		s.algorithm = client.RS256
	}
	return payloads, nil
}

// readFile makes a payload of one file; that of a bundle is not known yet.
func (s *signRun) readFile(path string, data []byte, payload int, progress *progress) (client.Prepared, error) {
	if isBundle(data) {
		b, err := newBundleToSign(path, data, payload)
		if err != nil {
			return client.Prepared{}, err
		}
		s.bundles = append(s.bundles, b)
		return client.Prepared{ID: b.bundle.ID()}, nil
	}
	read, err := client.Read(data)
	switch {
	case err != nil:
		return client.Prepared{}, fmt.Errorf("%s: %w", path, err)
	case len(read.Payload) == 0:
		return client.Prepared{}, fmt.Errorf("%s is empty; there is nothing to sign", path)
	case read.Payload[len(read.Payload)-1] == '\n':
		progress.line("%s ends with a line break, which is signed too", path)
	}
	return read, nil
}

// sign makes the request and returns the signatures once the person has made them.
func (s *signRun) sign(ctx context.Context, service *client.Client, payloads []client.Payload, progress *progress) (client.Response, error) {
	jwt, err := service.Prepare(s.sub, s.algorithm, payloads)
	if err != nil {
		return client.Response{}, err
	}
	ticket, err := service.Send(ctx, jwt, "")
	if refused, ok := errors.AsType[*oauth.TokenError](err); ok {
		return client.Response{}, fmt.Errorf("%w. What to do: %s", err, refused.Fix())
	} else if err != nil {
		return client.Response{}, err
	}
	progress.line("%d to be signed with %s", len(payloads), s.algorithm)
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if s.mock {
		_, err := client.AsBrowser(ctx, service.HTTP, ticket.RedirectURI, progress.count)
		progress.end()
		if err != nil {
			return client.Response{}, err
		}
		return service.Fetch(ctx, ticket.Token)
	}
	if s.noBrowser {
		progress.line("open this address to sign: %s", ticket.RedirectURI)
	} else if err := s.browse(ctx, ticket.RedirectURI); err != nil {
		progress.line("no browser could be opened (%v); open this address to sign: %s", err, ticket.RedirectURI)
	} else {
		progress.line("the signing page is open in your browser")
	}
	return s.await(ctx, service, ticket.Token, progress)
}

// await asks for the signatures until they are there, or never will be.
func (s *signRun) await(ctx context.Context, service *client.Client, token string, progress *progress) (client.Response, error) {
	tick := time.NewTicker(s.poll)
	defer tick.Stop()
	for {
		response, err := service.Fetch(ctx, token)
		waiting := ""
		var refused *client.Error
		switch {
		case err == nil:
			progress.end()
			return response, nil
		case ctx.Err() != nil:
			return client.Response{}, fmt.Errorf("the person has not signed within %s; ask again, or give more time with --timeout", s.timeout)
		case errors.Is(err, client.ErrUnreachable):
			waiting = "the service does not answer; trying again"
		case errors.As(err, &refused) && refused.Code == "not_opened":
			waiting = "waiting for the page to be opened"
		case errors.As(err, &refused) && refused.Code == "not_signed":
			waiting = "waiting for the person to sign"
		case errors.As(err, &refused) && refused.Status >= http.StatusInternalServerError:
			waiting = "the service is not available; trying again"
		default:
			progress.end()
			return client.Response{}, err
		}
		progress.state(waiting)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// openBrowser shows an address to the person who sits here. Some systems' openers stay for as long as the browser
// does, so it waits only for those that fail at once, and none is ended with the command.
func openBrowser(ctx context.Context, address string) error {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	opener := exec.CommandContext(context.WithoutCancel(ctx), name, args...) //nolint:gosec // http or https, as client.Send made sure
	if err := opener.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- opener.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(openerFails):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
