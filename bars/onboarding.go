package bars

import (
	"fmt"
	"strings"
)

// Profile is what is known about a system being connected. It holds nothing secret.
type Profile struct {
	Environment  Environment `json:"environment,omitempty"`
	Name         string      `json:"name,omitempty"`         // of the supplier or provider, as in the kid
	Organisation string      `json:"organisation,omitempty"` // its ODS code
	AppID        string      `json:"app_id,omitempty"`       // of the application in the developer portal
	AppName      string      `json:"app_name,omitempty"`
	IntAppName   string      `json:"int_app_name,omitempty"` // PROD only: the application used on INT
	KID          string      `json:"kid,omitempty"`
	FQDN         string      `json:"fqdn,omitempty"`
	IP           string      `json:"ip,omitempty"`     // the receiver's public address
	URL          string      `json:"url,omitempty"`    // the receiver's base URL, for the endpoint catalogue
	Target       string      `json:"target,omitempty"` // the service's id, which senders use as the target

	Done map[Step]string `json:"done,omitempty"` // steps done by people, and when
}

// Step is one step of connecting a system.
type Step string

// The steps in order (BAR-4).
const (
	StepPortal      Step = "portal"      // account, team and application in the developer portal
	StepKey         Step = "key"         // make the key pair that authenticates token requests
	StepRegister    Step = "register"    // register the public key for the application
	StepCSR         Step = "csr"         // make the request for the TLS certificate
	StepCertificate Step = "certificate" // request the certificate
	StepDNS         Step = "dns"         // point the name at the public address
	StepCatalogue   Step = "catalogue"   // add the receiver to the endpoint catalogue
)

// Steps returns all steps in order.
func Steps() []Step {
	return []Step{StepPortal, StepKey, StepRegister, StepCSR, StepCertificate, StepDNS, StepCatalogue}
}

// Letter is an e-mail ready to send.
type Letter struct {
	To      string   `json:"to"`
	Subject string   `json:"subject"`
	Attach  []string `json:"attach,omitempty"` // files
	Body    string   `json:"body"`
	Note    string   `json:"note,omitempty"` // for the sender of the letter, not part of it
}

// Text formats the letter for reading and copying.
func (l Letter) Text() string {
	var text strings.Builder
	fmt.Fprintf(&text, "To:      %s\nSubject: %s\n", l.To, l.Subject)
	for _, file := range l.Attach {
		fmt.Fprintf(&text, "Attach:  %s\n", file)
	}
	fmt.Fprintf(&text, "\n%s", l.Body)
	return text.String()
}

// The addresses given by the onboarding guide.
const (
	mailAPIManagement = "api.management@nhs.net"
	mailITOC          = "itoc.supportdesk@nhs.net"
	mailDIR           = "dir@nhs.net"
	mailLiveServices  = "liveservices.gate@nhs.net"
	mailDNS           = "dnsteam@nhs.net"
	mailBaRS          = "bookingandreferralstandard@nhs.net"
)

// PortalAPI returns the API to choose for the application in the developer portal.
func PortalAPI(environment Environment) string {
	if environment == Production {
		return "Booking and Referral FHIR API"
	}
	return "Booking and Referral FHIR API (Integration Testing Environment)"
}

// word returns the guide's name for an environment in the subject of a letter.
func (e Environment) word() string {
	if e == Production {
		return "PROD (Live)"
	}
	return "INT"
}

// Letter writes the letter for a step, to the address the environment demands. Missing values are an error that names
// their flags.
func (p Profile) Letter(step Step, attach ...string) (Letter, error) {
	write, ok := map[Step]func(Profile) Letter{
		StepRegister: Profile.registration, StepCertificate: Profile.certificateRequest, StepDNS: Profile.dnsRequest, StepCatalogue: Profile.catalogueRequest,
	}[step]
	if !ok {
		return Letter{}, fmt.Errorf("the step %s has no letter", step)
	}
	if missing := p.missing(step); len(missing) > 0 {
		return Letter{}, fmt.Errorf("the letter needs values that are not known yet: give --%s", strings.Join(missing, ", --"))
	}
	letter := write(p)
	letter.Attach = attach
	return letter, nil
}

func (p Profile) missing(step Step) []string {
	needs := map[Step][][2]string{
		StepRegister:    {{"app-id", p.AppID}, {"app-name", p.AppName}, {"kid", p.KID}, {"name", p.Name}},
		StepCertificate: {{"fqdn", p.FQDN}, {"name", p.Name}, {"organisation", p.Organisation}},
		StepDNS:         {{"fqdn", p.FQDN}, {"ip", p.IP}, {"name", p.Name}},
		StepCatalogue:   {{"fqdn", p.FQDN}, {"url", p.URL}, {"target", p.Target}, {"name", p.Name}},
	}[step]
	if p.Environment == Production && step == StepRegister {
		needs = append(needs, [2]string{"int-app-name", p.IntAppName})
	}
	var missing []string
	for _, need := range needs {
		if need[1] == "" {
			missing = append(missing, need[0])
		}
	}
	return missing
}

func (p Profile) registration() Letter {
	letter := Letter{
		To: mailAPIManagement, Subject: fmt.Sprintf("Public key for signed JWT authentication, %s: %s", p.Environment.word(), p.AppName),
		Body: fmt.Sprintf(`Hello,

please register the attached public key (PEM) for our application.

Environment:       %s
Application id:    %s
Application name:  %s
KID:               %s
APIs:              %s
`, p.Environment.word(), p.AppID, p.AppName, p.KID, PortalAPI(p.Environment)),
	}
	if p.Environment == Production {
		letter.To = ""
		letter.Body += fmt.Sprintf(`INT application:   %s

This is for Live. The key is for one provider alone; further providers get keys of their own.
`, p.IntAppName)
		letter.Note = "For PROD the onboarding guide leaves the address blank. Ask " + mailBaRS + " where to send this, and do not guess."
	}
	letter.Body += "\nKind regards\n" + p.Name + "\n"
	return letter
}

func (p Profile) certificateRequest() Letter {
	if p.Environment == Production {
		return Letter{
			To: mailDIR, Subject: "BaRS: TLS-MA certificate for PROD: " + p.FQDN,
			Body: fmt.Sprintf(`Hello,

our system has passed its technical conformance for the Booking and Referral Standard (BaRS). Please issue a PROD (Live)
certificate for TLS-MA from the attached request.

FQDN (CN and only SAN):  %s
Organisation (ODS):      %s
Party key:               N/A

Kind regards
%s
`, p.FQDN, p.Organisation, p.Name),
			Note: "Send it after technical conformance, not before. The guide names " + mailLiveServices + " for going live as well; ask DIR whether they need a copy.",
		}
	}
	return Letter{
		To: mailITOC, Subject: "BaRS: certificate only, INT: " + p.FQDN,
		Body: fmt.Sprintf(`Hello,

please issue an INT certificate from the attached request. This is for BaRS (Booking and Referral Standard) and is
"certificate only".

Certificate only:        yes
For:                     BaRS
FQDN (CN and only SAN):  %s
Organisation (ODS):      %s
Party key:               N/A

Kind regards
%s
`, p.FQDN, p.Organisation, p.Name),
	}
}

func (p Profile) dnsRequest() Letter {
	return Letter{
		To: mailDNS, Subject: fmt.Sprintf("BaRS: DNS record, %s: %s", p.Environment.word(), p.FQDN),
		Body: fmt.Sprintf(`Hello,

please create this record for our receiver of the Booking and Referral Standard (BaRS).

Environment:     %s
Name:            %s
Type:            %s
Public address:  %s

Kind regards
%s
`, p.Environment.word(), p.FQDN, map[bool]string{true: "AAAA", false: "A"}[strings.Contains(p.IP, ":")], p.IP, p.Name),
		Note: "Where a provider has an nhs.uk domain of its own already, the name is made under it by whoever runs that domain: send this to them instead.",
	}
}

func (p Profile) catalogueRequest() Letter {
	return Letter{
		To: mailBaRS, Subject: fmt.Sprintf("BaRS: endpoint catalogue, %s: %s", p.Environment.word(), p.FQDN),
		Body: fmt.Sprintf(`Hello,

please add our receiver to the endpoint catalogue.

Environment:        %s
Service (target):   %s
Receiver URL:       %s

Its certificate names %s, and it lets in the proxy of this environment alone.

Kind regards
%s
`, p.Environment.word(), p.Target, p.URL, p.FQDN, p.Name),
		Note: "Run caddy countersign doctor first: an entry whose receiver does not answer is sent back.",
	}
}

// Check refuses a profile that mixes environments, and returns advice about the rest.
func (p Profile) Check() (advice []string, err error) {
	if p.Environment != Integration && p.Environment != Production {
		return nil, fmt.Errorf("unknown environment %q: use --environment int or --environment prod", p.Environment)
	}
	if p.KID != "" {
		kid, err := ParseKID(p.KID)
		if err != nil {
			advice = append(advice, err.Error())
		} else if kid.Environment != strings.ToUpper(string(p.Environment)) {
			return nil, fmt.Errorf("the kid %s is for %s, but this environment is %s: each environment has its own key", p.KID, kid.Environment, p.Environment)
		}
	}
	if p.FQDN != "" {
		if EnvironmentOf(p.FQDN) == p.Environment.Other() {
			return nil, fmt.Errorf("%s is a name of the %s environment, but this environment is %s", p.FQDN, p.Environment.Other(), p.Environment)
		}
		if _, err := ParseFQDN(p.FQDN); err != nil {
			advice = append(advice, err.Error())
		}
	}
	if p.URL != "" && p.FQDN != "" && !strings.HasPrefix(strings.ToLower(p.URL)+"/", "https://"+strings.ToLower(p.FQDN)+"/") && !strings.HasPrefix(strings.ToLower(p.URL), "https://"+strings.ToLower(p.FQDN)+":") {
		return nil, fmt.Errorf("the receiver's URL %s does not begin with https://%s, the name in its certificate", p.URL, p.FQDN)
	}
	return advice, nil
}
