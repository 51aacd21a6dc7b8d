package browser_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"golang.org/x/sys/unix"

	"github.com/seed-dd2befc3/countersign/smartcard/credential"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// desk is a person's machine: a browser, for which the gateway is a public site, and perhaps an agent that speaks
// Credential Management's wire.
type desk struct {
	*world
	port   int // of the agent
	chrome context.Context
}

// desktop says how one differs from the plain one, which has an agent with a card in its reader.
type desktop struct {
	agent  string // lines of smartcard_agent mock
	origin string // that the agent accepts, in place of the gateway's
	none   bool   // no agent runs
	block  string // of credential_management
	second string // lines of signing_service after it
}

const deskOptions = `{
` + gateway.Options + `	countersign {
		environment int
		store badger
		client acme {
			name "Acme EPR"
			key acme-1 %s
			callback %s/signed?site=7
		}
	}
}

https://localhost:{$PORT_SECOND} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`

// toSecond is an agent's address, and how it is reached.
const toSecond = `https://localhost:{$PORT_SECOND} {
				` + gateway.MutualTLS + `			}`

// newDesk starts the gateway and the agent. The mock's card is taken for a real one here: its issuer is trusted by
// its file, and not as a mock's. It makes its issuer when it signs for the first time.
func newDesk(t *testing.T, o desktop) *desk {
	t.Helper()
	d := &desk{world: &world{key: gateway.NewKey(t, 4096), site: newClientSite(t)}, port: holdAgentPorts(t)}
	d.Gateway = gateway.Start(t, d.caddyfile("mock "+toSecond, "mock", ""))
	warm := gateway.Visit(t, d.link(t, "main", 1, ""))
	warm.Open()
	warm.SignToEnd()
	d.Reload(d.standing(o))
	d.MustNotLog(person)
	d.chrome = newChrome(t, chromedp.Flag("ip-address-space-overrides", "127.0.0.1:"+d.Port("GATEWAY")+"=public"))
	return d
}

func (d *desk) caddyfile(ways, trust, sites string) string {
	return fmt.Sprintf(deskOptions, d.key.Public, d.site.URL) + fmt.Sprintf(`
http://localhost:{$PORT_GATEWAY} {
	handle_path /main/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/main
			access open
			%s
			certificates {
				trust %s
			}
		}
	}
}
%s`, ways, trust, sites)
}

// standing is the Caddyfile of a desktop.
func (d *desk) standing(o desktop) string {
	agent := ""
	if !o.none {
		if o.origin == "" {
			o.origin = "http://localhost:{$PORT_GATEWAY}"
		}
		agent = fmt.Sprintf(`
http://localhost:%d {
	smartcard_agent mock {
		credential_management {
			origin %s
			user %s
		}
		%s
	}
}
`, d.port, o.origin, person, o.agent)
	}
	return d.caddyfile("credential_management "+o.block+"\n\t\t\t"+o.second, d.Data("countersign/mock/ca.crt"), agent)
}

// holdAgentPorts holds the ports at which pages look until the test ends, and returns one of them for the agent. They are
// among those that the system hands out for outgoing connections and to whoever listens anywhere, so that without this
// a page could meet a stranger there. What is bound and does not listen is handed out to nobody, and gets no connection of
// those who share the port.
func holdAgentPorts(t *testing.T) int {
	t.Helper()
	for _, port := range credential.Ports {
		holder, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = shared(holder)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(holder) })
		if !gateway.Eventually(patience, func() bool { // what was used a moment ago is free in a minute
			err = unix.Bind(holder, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
			return err == nil
		}) {
			t.Fatalf("port %d, one of Credential Management's, is not free: %v", port, err)
		}
	}
	return credential.Ports[0]
}

// shared lets several sockets of a user have one address, as Caddy's do.
func shared(socket int) error {
	return unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// open opens the signing page of n items. The browser may reach this device: granted, denied or prompt, which is
// to ask the person.
func (d *desk) open(t *testing.T, n int, permission browser.PermissionSetting) *tab {
	t.Helper()
	b := open(d.chrome, t, chromedp.WithNewBrowserContext())
	b.expectFault("has been blocked by CORS policy")
	b.expectFault("Permission was denied for this request to access")
	for _, name := range []string{"loopback-network", "local-network-access"} {
		_, err := chromedp.CallBrowser(b.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: permission,
			Origin: d.URL("GATEWAY", ""), BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
		})
		if err != nil {
			t.Fatalf("permission %s: %v", name, err)
		}
	}
	b.goTo(d.link(t, "main", n, "state=e30="))
	return b
}

// What a page says that had no answer of an agent, or none that it may read, within the four seconds that it looks.
const (
	notRunning   = "The smartcard software is not running"
	notAccepting = "The smartcard software does not accept this page"
)

// signHere presses the button and waits for a heading. Where the page did not find the agent in time, as may be on a busy
// machine, it is told to try again.
func (b *tab) signHere(button, heading string) {
	b.t.Helper()
	for range 10 {
		b.press(button)
		b.waitFor("heading "+heading, fmt.Sprintf(`(() => {
			const now = document.querySelector("h1")?.textContent;
			return now === %q || [%q, %q].includes(now) && !document.querySelector("button[aria-disabled=true]");
		})()`, heading, notRunning, notAccepting))
		if eval[string](b, `document.querySelector("h1").textContent`) == heading {
			return
		}
		button = "Try again"
	}
	b.t.Fatalf("the page does not find the agent, and not %q", heading)
}

func TestCredentialManagement(t *testing.T) {
	d := newDesk(t, desktop{})
	b := d.open(t, 250, browser.PermissionSettingGranted)
	b.waitHeading("Sign 250 items for Acme EPR")
	b.signHere("Sign 250 items for Acme EPR", "Back at Acme EPR")
	query, _ := d.site.last()
	if !strings.Contains(query, "state=e30=") || strings.Contains(query, "error") {
		t.Errorf("the client was sent %s", query)
	}
	d.system("main").Fetch(t, tokenIn(query)).Verify(t, "RS256", gateway.Payloads("RS256", 250))
}

// While one answer is awaited for all, no progress is made up.
func TestCredentialManagementIsIndeterminate(t *testing.T) {
	d := newDesk(t, desktop{agent: "fault hang"})
	b := d.open(t, 3, browser.PermissionSettingGranted)
	b.signHere("Sign 3 items for Acme EPR", "Signing 3 items for Acme EPR")
	b.waitFor("an indeterminate progress bar", `document.querySelector("progress")?.position === -1`)
	if b.shows("0 of 3") {
		t.Error("progress is made up")
	}
	b.accessible()
	b.shot("credential-signing")
	b.press("Cancel")
	b.press("Yes, cancel the request")
	b.waitHeading("You cancelled this request")
}

// What stands between the page and the agent is told apart, and what to do about it.
func TestCredentialManagementTroubles(t *testing.T) {
	d := newDesk(t, desktop{})
	for name, c := range map[string]struct {
		desktop
		permission browser.PermissionSetting
		heading    string
		says       string
	}{
		"no permission":   {desktop{}, browser.PermissionSettingDenied, "Your browser does not let this page reach your smartcard", "LoopbackNetworkAllowedForUrls"},
		"undecided":       {desktop{}, browser.PermissionSettingPrompt, "Your browser waits for an answer", "choose Allow"},
		"no agent":        {desktop{none: true}, browser.PermissionSettingGranted, notRunning, "Start it"},
		"another origin":  {desktop{origin: "https://sign.example.nhs.uk"}, browser.PermissionSettingGranted, notAccepting, "Tell your service desk"},
		"no card":         {desktop{agent: "fault no_card"}, browser.PermissionSettingGranted, "No smartcard found", "Put your smartcard into the reader"},
		"a wrong PIN":     {desktop{agent: "fault wrong_pin"}, browser.PermissionSettingGranted, "The PIN was not right", "the card locks itself"},
		"wrong signature": {desktop{agent: "fault wrong_signature"}, browser.PermissionSettingGranted, "A signature was not right", "Nothing was handed over"},
	} {
		t.Run(name, func(t *testing.T) {
			d.Reload(d.standing(c.desktop))
			b := d.open(t, 2, c.permission)
			b.signHere("Sign 2 items for Acme EPR", c.heading)
			b.waitText(c.says)
			b.accessible()
			b.shot("credential-" + strings.ReplaceAll(name, " ", "-"))
		})
	}
}

// The ways stand in their order: without an agent on this machine the page goes on to the next.
func TestCredentialManagementFallsBack(t *testing.T) {
	d := newDesk(t, desktop{none: true, second: "agent " + toSecond})
	b := d.open(t, 2, browser.PermissionSettingGranted)
	b.press("Sign 2 items for Acme EPR")
	b.waitHeading("Back at Acme EPR")

	// Where the person has to decide, both ways are offered.
	b = d.open(t, 2, browser.PermissionSettingDenied)
	b.press("Sign 2 items for Acme EPR")
	b.waitHeading("Your browser does not let this page reach your smartcard")
	b.press("Use another way to sign")
	b.waitHeading("Back at Acme EPR")
}
