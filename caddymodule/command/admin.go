package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	urlpath "path"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

// maxAdmin bounds an answer of the admin endpoint: 1,000 sessions or refusals with room to spare.
const maxAdmin = 16 << 20

func addressFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("address", "", "`address` of Caddy's admin endpoint; default: CADDY_ADMIN, or else localhost:2019")
}

// errNotThere is an answer of 404: what was asked for is not there.
type errNotThere struct{ error }

// adminGet asks the admin endpoint of a running gateway.
func adminGet(ctx context.Context, address, path string, query url.Values, into any) error {
	return adminJSON(ctx, address, http.MethodGet, path, query, into)
}

// adminPost asks it to do something.
func adminPost(ctx context.Context, address, path string, query url.Values, into any) error {
	return adminJSON(ctx, address, http.MethodPost, path, query, into)
}

// adminJSON makes a request of the admin endpoint that is answered with one JSON value.
func adminJSON(ctx context.Context, address, method, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	response, err := adminCall(ctx, address, method, path, query)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAdmin))
	if err != nil {
		return fmt.Errorf("the gateway's answer broke off: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("what answers at %s is not a gateway with Countersign: %w", address, err)
	}
	return nil
}

// adminCall makes a request of the admin endpoint, wherever Caddy can have it: on a port or a Unix socket. An answer
// other than 200 is an error; the body of one is the caller's to close.
func adminCall(ctx context.Context, address, method, path string, query url.Values) (*http.Response, error) {
	if urlpath.Clean(path) != path { // a server would take it for another one: of all dead letters instead of one webhook
		return nil, errors.New("an id was given that is none: it is empty, or a path")
	}
	if address == "" {
		address = caddy.DefaultAdminListen
	}
	at, err := caddy.ParseNetworkAddress(address)
	if err != nil || at.PortRangeSize() > 1 {
		return nil, fmt.Errorf("--address %s is not the address of an admin endpoint, such as localhost:2019", address)
	}
	host := at.JoinHostPort(0)
	if at.IsUnixNetwork() {
		host = "127.0.0.1" // what Caddy expects there
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, at.Network, at.JoinHostPort(0))
		},
	}}
	target := (&url.URL{Scheme: "http", Host: host, Path: path, RawQuery: query.Encode()}).String()
	request, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no gateway answers at %s; name its admin endpoint with --address, and start the gateway if it does not run: %w", address, inner(err))
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAdmin))
	if err != nil {
		return nil, fmt.Errorf("the gateway's answer broke off: %w", err)
	}
	return nil, adminFailure(response.StatusCode, body)
}

func adminFailure(status int, body []byte) error {
	var told adminapi.Failure
	if json.Unmarshal(body, &told) != nil || told.Error == "" {
		return fmt.Errorf("the admin endpoint answered %d; is it that of a gateway with Countersign?", status)
	}
	if status == http.StatusNotFound {
		return errNotThere{errors.New(told.Error)}
	}
	return fmt.Errorf("the gateway answered %d: %s", status, told.Error)
}

// inner is an error without the address that it quotes once more.
func inner(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err
	}
	return err
}
