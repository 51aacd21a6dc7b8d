package command

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/durable"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/textfile"
)

// recommendedBits is the key length that the services ask for; registered keys of 4095 bits exist.
const recommendedBits = 4095

// kidAdvice returns a note on a kid that breaks the rule <Supplier or Provider>-<Environment>-<rotation> (BAR-4.1), or "".
// It is only advice, because some kids in use break the rule.
func kidAdvice(kid string) string {
	if _, err := bars.ParseKID(kid); err != nil {
		return err.Error() + "; it works nevertheless"
	}
	return ""
}

// word reports whether a text can be written unquoted in a Caddyfile and, with inPath, in a file name.
func word(text string, inPath bool) bool {
	return text != "" && len(text) <= 256 && !strings.ContainsAny(text, " \t\r\n\"`{}\\#'") && (!inPath || !strings.ContainsAny(text, `/:*?<>|`) && text[0] != '.')
}

// publicJWK is a public key as published, with all members that readers expect.
type publicJWK struct {
	KTY string `json:"kty"`
	KID string `json:"kid"`
	Alg string `json:"alg"`
	Use string `json:"use"`
	N   string `json:"n"`
	E   string `json:"e"`
}

func jwkOf(key *jwks.Key) publicJWK {
	encode := base64.RawURLEncoding.EncodeToString
	return publicJWK{"RSA", key.KID(), "RS512", "sig", encode(key.Public().N.Bytes()), encode(big.NewInt(int64(key.Public().E)).Bytes())}
}

type publicSet struct {
	Keys []publicJWK `json:"keys"`
}

func (s publicSet) text() []byte {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil { // strings alone
		return nil
	}
	return append(text, '\n')
}

// publicHalf reads a PEM file with a public key, a certificate or a private key.
func publicHalf(kid, path string) (*jwks.Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if text, err = textfile.UTF8(text); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if strings.Contains(string(text), "PRIVATE KEY-----") {
		signer, err := jwks.ParseSigner(kid, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return signer.Key(), nil
	}
	key, err := jwks.ParsePublicPEM(kid, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// publicPEM returns a public key in PEM.
func publicPEM(key *jwks.Key) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// writeNew writes a new file. It refuses an existing one and removes a partly written one.
func writeNew(path string, text []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s already exists and is not overwritten: choose another --dir, or another kid for a new key", path)
	} else if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, durable.Sync(file), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return durable.SyncDir(filepath.Dir(path))
}

func keygenCommand() *cobra.Command {
	var dir string
	var bits int
	cmd := &cobra.Command{
		Use:   "keygen <kid>",
		Short: "Makes a client's RSA key pair and its key set",
		Long: `
Makes an RSA key pair of 4096 bits and writes three files named after the kid: the private key (PEM, readable by you
alone), the public key (PEM), and the key set (JWKS) to publish. It never overwrites a file. The kid should be
<Supplier or Provider>-<Sandbox|DEV|INT|PROD>-<number>, where the number grows with each new key.`,
		Example: `  caddy countersign keygen MySupplier-INT-1`,
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "`directory` of the files")
	cmd.Flags().IntVar(&bits, "bits", 4096, "`length` of the key")
	return newCommand(cmd, func(_ context.Context, out output, args []string) error { return keygen(out, args[0], dir, bits) })
}

// generated is keygen's answer.
type generated struct {
	KID     string `json:"kid"`
	Bits    int    `json:"bits"`
	Private string `json:"private_key"`
	Public  string `json:"public_key"`
	Set     string `json:"jwks"`
	Advice  string `json:"advice,omitempty"`
}

func keygen(out output, kid, dir string, bits int) error {
	made, err := makeKeys(kid, dir, bits)
	if err != nil {
		return err
	}
	return out.answer(made, func(w io.Writer) error {
		if made.Advice != "" {
			fmt.Fprintf(out.stderr, "Note: %s\n", made.Advice)
		}
		_, err := fmt.Fprintf(w, `%s
Next: have the public key registered under the kid %s, or publish the key set and have its URL registered. For a
gateway like this one its operator runs: caddy countersign client <id> %s
`, made.text(), kid, made.Set)
		return err
	})
}

func (g generated) text() string {
	return fmt.Sprintf("Private key  %s   (keep it; only you can read it)\nPublic key   %s\nKey set      %s\n", g.Private, g.Public, g.Set)
}

// makeKeys makes a key pair and its three files, none of which may exist.
func makeKeys(kid, dir string, bits int) (generated, error) {
	if !word(kid, true) {
		return generated{}, fmt.Errorf("kid %.64q cannot be used in file names: use letters, digits, - and _", kid)
	}
	if bits < 2048 || bits > 8192 {
		return generated{}, fmt.Errorf("a key of %d bits is refused by all services: use 4096", bits)
	}
	made := generated{KID: kid, Advice: kidAdvice(kid)}
	made.Private, made.Public, made.Set = filepath.Join(dir, kid+".pem"), filepath.Join(dir, kid+".pub.pem"), filepath.Join(dir, kid+".jwks.json")
	for _, path := range []string{made.Private, made.Public, made.Set} {
		if _, err := os.Lstat(path); err == nil {
			return made, fmt.Errorf("%s already exists and is not overwritten: choose another --dir, or another kid for a new key", path)
		}
	}
	private, err := jwks.GenerateRSA(bits, nil)
	if err != nil {
		return made, err
	}
	signer, err := jwks.NewSigner(kid, private)
	if err != nil {
		return made, err
	}
	public, err := publicPEM(signer.Key())
	if err != nil {
		return made, err
	}
	made.Bits = signer.Key().Bits()
	for _, file := range []struct {
		path string
		text []byte
		mode os.FileMode
	}{
		{made.Private, signer.MarshalPEM(), 0o600},
		{made.Public, public, 0o644},
		{made.Set, publicSet{[]publicJWK{jwkOf(signer.Key())}}.text(), 0o644},
	} {
		if err := writeNew(file.path, file.text, file.mode); err != nil {
			return made, err
		}
	}
	return made, nil
}

func jwksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jwks <kid> <PEM file> [<kid> <PEM file>]...",
		Short: "Prints the key set of PEM keys",
		Long: `
Prints the public halves of keys as a key set (JWKS) with kid, alg and use, to publish. A file holds a private key, a
public key or a certificate. Name the old and the new key during a rotation: publish both, and wait an hour before
the new one is used. The command refresh has a running gateway read a client's keys now.`,
		Example: `  caddy countersign jwks MySupplier-INT-1 MySupplier-INT-1.pem > jwks.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 || len(args)%2 != 0 {
				return errors.New("give a kid and a PEM file for each key")
			}
			return nil
		},
	}
	cmd.AddCommand(jwksRefreshCommand())
	return newCommand(cmd, func(_ context.Context, out output, args []string) error {
		var set publicSet
		for i := 0; i < len(args); i += 2 {
			key, err := publicHalf(args[i], args[i+1])
			if err != nil {
				return err
			}
			for _, earlier := range set.Keys {
				if earlier.KID == key.KID() {
					return fmt.Errorf("kid %s names two keys: give each key its own kid", key.KID())
				}
			}
			set.Keys = append(set.Keys, jwkOf(key))
			if key.Bits() < recommendedBits {
				fmt.Fprintf(out.stderr, "Note: key %s has %d bits; the services ask for 4096\n", key.KID(), key.Bits())
			}
		}
		return out.answer(set, func(w io.Writer) error {
			_, err := w.Write(set.text())
			return err
		})
	})
}
