package caddymodule

import (
	"fmt"
	"net/url"
	"strings"
)

// Environment is the NHS environment of a site. It decides what is refused.
type Environment string

// The environments (SIG-7).
const (
	Sandbox     Environment = "sandbox" // canned answers, stateless, open
	Integration Environment = "int"     // stateful, mock and real cards
	Production  Environment = "prod"    // no mock, no open access, no plain-http callback
)

// Check refuses an unknown environment.
func (e Environment) Check() error {
	switch e {
	case Sandbox, Integration, Production:
		return nil
	case "":
		return fmt.Errorf("environment is missing: add environment sandbox, int or prod")
	}
	return fmt.Errorf("unknown environment %q: use sandbox, int or prod", string(e))
}

// CheckAddress refuses a client's address whose scheme is too weak for the environment.
func (e Environment) CheckAddress(what, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%s %q is not an absolute URL", what, address)
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%s %q must be an https URL", what, address)
	}
	return e.Forbid(nil, plainHTTP(what, address))
}

func plainHTTP(what, address string) Risk {
	return Risk{RulePlainHTTP, fmt.Sprintf("%s %q", what, address)}
}

// nhsHosts are NHS England's own hosts of each environment.
func nhsHosts() map[Environment]string {
	return map[Environment]string{
		Sandbox:     "sandbox.api.service.nhs.uk",
		Integration: "int.api.service.nhs.uk",
		Production:  "api.service.nhs.uk",
	}
}

// API is the base address of NHS England's APIs.
func (e Environment) API() string { return "https://" + nhsHosts()[e] }

// TokenURL is the address of NHS England's token service.
func (e Environment) TokenURL() string { return e.API() + "/oauth2/token" }

// EnvironmentOf returns the environment to which an NHS England address belongs, or "" for other addresses.
func EnvironmentOf(address string) Environment {
	named, err := url.Parse(address)
	if err != nil {
		return ""
	}
	for environment, host := range nhsHosts() {
		if strings.EqualFold(named.Hostname(), host) {
			return environment
		}
	}
	return ""
}

// CheckHost refuses an address that is too weak for the environment or belongs to another NHS England environment.
func (e Environment) CheckHost(what, address string) error {
	if err := e.CheckAddress(what, address); err != nil {
		return err
	}
	if of := EnvironmentOf(address); of != "" && of != e {
		return fmt.Errorf("%s %s belongs to the %s environment, but this sender is in %s: use an address of the same environment", what, address, of, e)
	}
	return nil
}

// checkPublicURL refuses an invalid public URL of a service. It may be empty: then the service answers on loopback only.
func (e Environment) checkPublicURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("public_url %q is not an absolute http or https URL", address)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("public_url %q must not have a query, a fragment or user information", address)
	case u.Scheme == "http":
		return e.Forbid(nil, plainHTTP("public_url", address))
	}
	return nil
}
