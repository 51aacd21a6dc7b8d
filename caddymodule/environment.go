package caddymodule

import (
	"fmt"
	"net/url"
)

// Environment is which of the NHS's environments a site stands for. It decides what is refused.
type Environment string

// The environments (contract: signing-service §7).
const (
	Sandbox     Environment = "sandbox" // canned answers, stateless, open
	Integration Environment = "int"     // stateful, mock and real cards
	Production  Environment = "prod"    // no mock, no open access, no plain-http callback
)

func (e Environment) check() error {
	switch e {
	case Sandbox, Integration, Production:
		return nil
	case "":
		return fmt.Errorf("environment is missing; write environment sandbox, int or prod")
	}
	return fmt.Errorf("environment %q is not known; use sandbox, int or prod", string(e))
}

// checkAddress refuses an address that a client registered where its scheme is too weak for the environment.
func (e Environment) checkAddress(what, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%s %q is not an absolute URL", what, address)
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%s %q must be an https URL", what, address)
	case e == Production:
		return fmt.Errorf("%s %q is plain http, which production refuses; use https", what, address)
	}
	return nil
}

// checkPublicURL refuses a service's own address where it cannot be one. None is no fault: it is held to loopback
// at run time.
func (e Environment) checkPublicURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("public_url %q is not an absolute http or https URL", address)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("public_url %q may have neither query, fragment nor user in it", address)
	case u.Scheme == "http" && e == Production:
		return fmt.Errorf("public_url %q is plain http, which production refuses", address)
	}
	return nil
}
