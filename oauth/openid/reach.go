package openid

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Reach asks the provider for what it says of itself, now, and changes nothing of what is known of it.
func (p *Provider) Reach(ctx context.Context) (address string, status int, err error) {
	address = strings.TrimSuffix(p.Issuer(), "/") + "/.well-known/openid-configuration"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return address, 0, errors.New("the issuer is no address that can be asked")
	}
	response, err := p.HTTP.Do(request)
	if err != nil {
		return address, 0, fmt.Errorf("asking the provider what it says of itself: %w", clipped(err))
	}
	if err := response.Body.Close(); err != nil {
		return address, response.StatusCode, fmt.Errorf("asking the provider what it says of itself: %w", clipped(err))
	}
	if response.StatusCode != http.StatusOK {
		return address, response.StatusCode, fmt.Errorf("the provider answered %d where it says of itself what it is", response.StatusCode)
	}
	return address, response.StatusCode, nil
}
