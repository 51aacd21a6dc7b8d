package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/spf13/cobra"
)

func whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why <request id>",
		Short: "Tells which check refused a request, what it expected and what it got",
		Long: `
Finds a refused request by its id (x-request-id, which every answer has), by its correlation id, or in a log by the
message_id of a token service's answer, and tells which check refused it, what that expected and what it got. It asks
a running gateway, which remembers the last ` + strconv.Itoa(maxRefusals) + ` refusals, or with --log reads a log file
of Caddy's. Neither holds tokens, persons or what was to be signed. The exit status is 1 if the request is not found.`,
		Example: "  caddy countersign why 0e7a8f0c-8a4a-4a5b-9c7e-6d2f6f3c1b2a\n  caddy countersign why --log /var/log/caddy/caddy.log req-1",
		Args:    cobra.ExactArgs(1),
	}
	address := addressFlag(cmd)
	log := cmd.Flags().String("log", "", "log `file` of JSON lines, as Caddy writes them; - for standard input")
	cmd.MarkFlagsMutuallyExclusive("address", "log")
	return newCommand(cmd, func(ctx context.Context, out output, args []string) error {
		var found refusalList
		var err error
		if *log != "" {
			found.Refusals, err = searchLog(cmd.InOrStdin(), *log, args[0])
		} else if err = adminGet(ctx, *address, "/countersign/refusals/"+args[0], nil, &found); errors.As(err, new(errNotThere)) {
			err = fmt.Errorf("%w: --log FILE. If the caller did get an answer, compare the id with its x-request-id", err)
		}
		if err != nil {
			return err
		}
		return out.answer(found, func(w io.Writer) error {
			for _, refused := range found.Refusals {
				refused.text(w)
			}
			return nil
		})
	})
}

// searchLog finds refusals in a log file, the latest last.
func searchLog(stdin io.Reader, path, id string) ([]refusalReport, error) {
	from := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	found, accepted, err := findInLog(from, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(found) > 0:
		return found, nil
	case accepted != "":
		return nil, fmt.Errorf("the request was not refused: it was accepted as session %s; see: caddy countersign sessions %s", accepted, accepted)
	}
	return nil, fmt.Errorf("%s has no refused request with this id; is it the log of the right gateway and time, in JSON, and at level INFO?", path)
}

func (r refusalReport) text(w io.Writer) {
	table := newTable(w)
	table.row("Request", r.RequestID)
	if !r.Time.IsZero() {
		table.row("Refused", r.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	for _, line := range [][2]string{
		{"Endpoint", r.Endpoint}, {"Client", r.Client}, {"Check", r.Check}, {"Expected", r.Expected}, {"Got", r.Got}, {"Detail", r.Detail},
		{"Answer", fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Answer)},
	} {
		if line[1] != "" {
			table.row(line[0], line[1])
		}
	}
	table.end()
	fmt.Fprintf(w, "What to do: %s\n\n", r.advice())
}

// advice says what to do about a refusal, by the check where that makes a difference, or else by the code.
func (r refusalReport) advice() string {
	for _, key := range []string{r.Check, r.Code} {
		if text, known := advices()[key]; known {
			return text
		}
	}
	switch {
	case r.Status == http.StatusInternalServerError:
		return "This is a defect of the gateway, or of what it runs on. Look at the lines around it in the log, and report it with them."
	case r.Status > http.StatusInternalServerError:
		return "Look at /countersign/status on the admin endpoint: the store or a client's key set was away. The caller sends the same request again."
	}
	return "The caller corrects what its answer says, and makes a new request."
}

func advices() map[string]string {
	const newJWT = " and makes a new JWT for each request."
	return map[string]string{
		"claim aud":                    "The client puts the expected address into aud, letter for letter, without a slash at the end; or you correct public_url of signing_service, if clients reach it at another one.",
		"claim exp":                    "Compare the clocks of both machines. The client sets exp at most 10 minutes ahead," + newJWT,
		"claim iat":                    "Compare the clocks of both machines: the client's is ahead. clock_skew of signing_service says how much is tolerated.",
		"claim sub":                    "The client puts the SDS user id of the person who signs into sub: twelve digits, as a string.",
		"claim iss":                    "The client puts its client id into iss; or you add client <id> to countersign in the Caddyfile, if it is missing, or has status revoked.",
		"header kid":                   "Compare the kid with those of the client under /countersign/status on the admin endpoint. The client publishes the key first, and signs with it then; or you register it with key <kid> <pem file>.",
		"claim algorithm":              "The client asks for one of the expected algorithms; or you add it to algorithms of that client in the Caddyfile.",
		"SignatureMethod of a payload": "The client prepares the payload for the algorithm that it asks for, or asks for the one it has prepared it for; payloads of different algorithms go into different requests.",
		"size of the key":              "The client makes a key of 4096 bits, publishes it under a new kid, and signs with it.",
		"signature of the JWT":         "The client signs with the key that is registered under this kid: compare the thumbprint of its own public key (RFC 7638) with the expected one. Or something on the way changes the body: it must arrive byte for byte.",
		"key set of the client":        "Open the URL of the client's key set from this machine. Its error is in Detail, and under /countersign/status; allow_networks lets in private addresses.",
		"form of the body":             "The client sends the JWT alone as the body: no JSON around it, no quotes, no line break, not URL-encoded.",
		"form of the JWT":              "The client corrects what Got says; a well-kept JWT library makes none of these mistakes.",
		"Content-Type":                 "The client sends Content-Type: text/plain.",
		"Origin":                       "People must open the page at the address of public_url. If they do, public_url is another than what their browsers show, or a proxy changes Origin.",
		"alg":                          "The client signs its JWT with RS512, and says so in the header.",
		"payloads":                     "The client corrects the payload that the answer names: base64 with padding, a unique id for each, 1 to 250 of them.",
		"replayed":                     "The client makes a new JWT for a new request. To repeat one after a lost answer, it sends the same JWT with the same state.",
		"access_token":                 "The client gets a token of its own from the token service, for the person it names, and sends it as Authorization: Bearer.",
		"access_open":                  "access open serves this machine alone. Set access bearer to serve others, or reach it from this machine.",
		"csrf":                         "The person reloads the page. If it goes on, something between removes cookies, or the page is open at two addresses.",
		"mock":                         "Add mock to signing_service outside production, or open the page without mock=true.",
		"token":                        "The client puts the token into the path exactly as it got it.",
		"not_found":                    "The token is wrong, belongs to another client, or its time is over: keep_result of signing_service says how long signatures can be fetched.",
		"not_opened":                   "Nothing is wrong: the person has not opened the page yet. The client asks again later.",
		"not_signed":                   "Nothing is wrong: the person has not signed yet. The client asks again later.",
		"opened_elsewhere":             "The page was opened in another browser before, perhaps by a link that was sent to two people. The person goes on there, or the client makes a new request.",
		"failed":                       "Nothing was released: see the session's reason with caddy countersign sessions, and \"signing run ended\" in the log.",
		"cancelled":                    "The person cancelled. The client makes a new request if they want to sign after all.",
		"expired":                      "The person did not sign in time. The client makes a new request; sign_within of signing_service says how long there is.",
		"too_large":                    "The client splits what it wants signed over more requests: at most 250 payloads and 2 MiB each.",
		"state":                        "The client keeps its state somewhere itself, and sends a short name for it; at most 1 KiB.",
		"method":                       "The caller uses the method that Allow names.",
		"no_endpoint":                  "The caller corrects the path; the service is at public_url, followed by /signaturerequest or /signatureresponse/{token}.",
		"apikey":                       "The caller sends the status_key of signing_service in the header apikey.",
		"unavailable":                  "The caller sends the same request again. Detail says what was away; /countersign/status on the admin endpoint shows how it is now.",
	}
}
