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

// errNotThere means that the admin endpoint answered 404.
type errNotThere struct{ error }

// adminGet sends a GET to the admin endpoint of a running gateway.
func adminGet(ctx context.Context, address, path string, query url.Values, into any) error {
	return adminJSON(ctx, address, http.MethodGet, path, query, into)
}

// adminPost sends a POST to it.
func adminPost(ctx context.Context, address, path string, query url.Values, into any) error {
	return adminJSON(ctx, address, http.MethodPost, path, query, into)
}

// adminJSON sends a request to the admin endpoint and decodes its JSON answer.
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
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the server at %s is not a Countersign gateway: %w", address, err)
	}
	return nil
}

// adminCall sends a request to the admin endpoint, on a port or a Unix socket. An answer other than 200 is an error. The
// caller must close the body.
func adminCall(ctx context.Context, address, method, path string, query url.Values) (*http.Response, error) {
	if urlpath.Clean(path) != path { // the server would route it elsewhere, such as to all dead letters instead of one webhook
		return nil, errors.New("invalid id: it must not be empty or contain a path")
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
		return nil, fmt.Errorf("no gateway answers at %s: start the gateway, or give its admin endpoint with --address: %w", address, inner(err))
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAdmin))
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return nil, adminFailure(response.StatusCode, body)
}

func adminFailure(status int, body []byte) error {
	var told adminapi.Failure
	if json.Unmarshal(body, &told) != nil || told.Error == "" {
		return fmt.Errorf("the admin endpoint answered %d: check that it belongs to a Countersign gateway", status)
	}
	if status == http.StatusNotFound {
		return errNotThere{errors.New(told.Error)}
	}
	return fmt.Errorf("the gateway answered %d: %s", status, told.Error)
}

// inner unwraps an error whose text repeats the address.
func inner(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err
	}
	return err
}
