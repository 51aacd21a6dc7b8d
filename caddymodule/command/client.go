package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// clientRun is one run of the command.
type clientRun struct {
	name, kid, callback, dir, appendTo string
	products                           []string
}

func clientCommand() *cobra.Command {
	run := &clientRun{}
	cmd := &cobra.Command{
		Use:   "client <id> <PEM or JWKS file>",
		Short: "Checks a client's public key and writes its block of the Caddyfile",
		Long: `
For the operator of a gateway: takes the public key that a client sent, as PEM or as a key set (JWKS), and checks that
it is one to register: RSA, long enough, a sound exponent, and nothing private in it. A key without a kid is given
one. The client block for the global option countersign is printed, or appended to a file that the Caddyfile imports
inside that option, such as clients/acme.caddy.`,
		Example: `  caddy countersign client acme-epr acme.pub.pem --products signing \
    --callback https://epr.acme.example/signed --append clients/acme.caddy`,
		Args: cobra.ExactArgs(2),
	}
	flags := cmd.Flags()
	flags.StringVar(&run.kid, "kid", "", "`kid` for a key that has none; default: <id>-INT-1")
	flags.StringVar(&run.name, "name", "", "`name` shown to people")
	flags.StringVar(&run.callback, "callback", "", "`URL` the signing page sends the browser back to")
	flags.StringSliceVar(&run.products, "products", nil, "`names` of the products the client may use, separated by commas")
	flags.StringVar(&run.dir, "dir", "", "`directory` for a completed key set; default: that of the file")
	flags.StringVar(&run.appendTo, "append", "", "`file` to append the block to, instead of printing it")
	return newCommand(cmd, func(_ context.Context, out output, args []string) error { return run.run(out, args[0], args[1]) })
}

// registered is the command's answer.
type registered struct {
	Client   string          `json:"client"`
	Keys     []registeredKey `json:"keys"`
	Notes    []string        `json:"notes,omitempty"`
	Block    string          `json:"block"`
	Appended string          `json:"appended,omitempty"` // the file
}

type registeredKey struct {
	KID        string `json:"kid"`
	Bits       int    `json:"bits"`
	Thumbprint string `json:"thumbprint"` // RFC 7638
}

func (c *clientRun) run(out output, id, path string) error {
	if !word(id, false) {
		return fmt.Errorf("client id %.64q is not one word", id)
	}
	if c.kid == "" {
		c.kid = id + "-INT-1"
	}
	if !word(c.kid, false) {
		return fmt.Errorf("kid %.64q is not one word", c.kid)
	}
	for _, text := range append([]string{c.callback}, c.products...) {
		if text != "" && !word(text, false) {
			return fmt.Errorf("%.64q is not one word", text)
		}
	}
	if strings.ContainsAny(c.name, "\"\\`\r\n{}") {
		return fmt.Errorf("name %.64q contains a character with a special meaning in a Caddyfile: remove it", c.name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	answer := registered{Client: id}
	line, keys, err := c.read(path, text, &answer)
	if err != nil {
		return err
	}
	for _, key := range keys {
		answer.Keys = append(answer.Keys, registeredKey{key.KID(), key.Bits(), key.Thumbprint()})
		if key.Bits() < recommendedBits {
			answer.note("key %s has %d bits, enough for tokens, but signing requests need 4096: ask the client for a longer key", key.KID(), key.Bits())
		}
		if e := key.Public().E; e != 65537 {
			answer.note("key %s has the exponent %d instead of the usual 65537", key.KID(), e)
		}
		if advice := kidAdvice(key.KID()); advice != "" {
			answer.note("%s", advice)
		}
	}
	answer.Block = c.block(id, line)
	if c.appendTo != "" {
		if err := appendBlock(c.appendTo, id, answer.Block); err != nil {
			return err
		}
		answer.Appended = c.appendTo
	}
	return out.answer(answer, answer.tell(out.stderr))
}

func (r *registered) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *registered) tell(stderr io.Writer) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, key := range r.Keys {
			fmt.Fprintf(stderr, "Key %s: RSA, %d bits, thumbprint %s\n", key.KID, key.Bits, key.Thumbprint)
		}
		for _, note := range r.Notes {
			fmt.Fprintf(stderr, "Note: %s\n", note)
		}
		if r.Appended != "" {
			_, err := fmt.Fprintf(w, "The client %s was appended to %s; it counts from the next reload.\n", r.Client, r.Appended)
			return err
		}
		_, err := io.WriteString(w, r.Block)
		return err
	}
}

// read checks the keys in a file and returns the line of the block that names them.
func (c *clientRun) read(path string, text []byte, answer *registered) (line string, keys []*jwks.Key, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	if !strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		key, err := jwks.ParsePublicPEM(c.kid, text)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", path, err)
		}
		return fmt.Sprintf("key %s %s", c.kid, quoted(path)), []*jwks.Key{key}, nil
	}
	completed, named, err := nameKeys(text, c.kid)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	set, err := jwks.ParseSet(completed)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(set.Keys()) == 0 {
		return "", nil, fmt.Errorf("%s: no usable key. %s", path, strings.Join(set.Skipped(), ". "))
	}
	for _, why := range set.Skipped() {
		answer.note("%s", why)
	}
	if named {
		dir := c.dir
		if dir == "" {
			dir = filepath.Dir(path)
		}
		path, err = filepath.Abs(filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))+".named.json"))
		if err != nil {
			return "", nil, err
		}
		if err := writeNew(path, completed, 0o644); err != nil {
			return "", nil, err
		}
		answer.note("a key without a kid was named %s; the completed set is %s", c.kid, path)
	}
	return "jwks " + quoted(path), set.Keys(), nil
}

// nameKeys adds the given kid to the only key of a set without one. It refuses a set with several such keys.
func nameKeys(text []byte, kid string) (completed []byte, named bool, err error) {
	if _, err := jwks.ParseSet(text); err != nil { // report the errors of the original set to its owner
		return nil, false, err
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, false, errors.New("not a JWK set")
	}
	for _, key := range set.Keys {
		if _, has := key["kid"]; has {
			continue
		}
		if named {
			return nil, false, errors.New("several keys have no kid: ask the client to give each key one")
		}
		key["kid"], named = json.RawMessage(fmt.Sprintf("%q", kid)), true
	}
	if !named {
		return text, false, nil
	}
	completed, err = json.MarshalIndent(set, "", "  ")
	return append(completed, '\n'), true, err
}

// block returns the client's block of the Caddyfile.
func (c *clientRun) block(id, line string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "client %s {\n", id)
	if c.name != "" {
		fmt.Fprintf(&b, "\tname \"%s\"\n", c.name)
	}
	fmt.Fprintf(&b, "\t%s\n", line)
	if c.callback != "" {
		fmt.Fprintf(&b, "\tcallback %s\n", c.callback)
	}
	if len(c.products) > 0 {
		fmt.Fprintf(&b, "\tproducts %s\n", strings.Join(c.products, " "))
	}
	b.WriteString("}\n")
	return b.String()
}

// quoted quotes a path for a Caddyfile.
func quoted(path string) string {
	if word(path, false) {
		return path
	}
	return "`" + path + "`"
}

// appendBlock appends the block to a file that does not have the client yet.
func appendBlock(path, id, block string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if regexp.MustCompile(`(?m)^\s*client\s+` + regexp.QuoteMeta(id) + `(\s|$)`).Match(text) {
		return fmt.Errorf("%s already has a client %s: change that block instead", path, id)
	}
	if len(text) > 0 {
		block = "\n" + block
		if text[len(text)-1] != '\n' {
			block = "\n" + block
		}
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // world-readable: it holds no secret
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, block)
	return errors.Join(err, file.Close())
}
