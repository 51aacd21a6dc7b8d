package bars

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Rules are what the entries of a catalogue are held to.
type Rules struct {
	// Loose lets in plain http and address literals: the sandbox alone.
	Loose bool
	// Name says what is unusual about a receiver's host name, which is a warning; nil: nothing ever is.
	Name func(host string) error
	// Strict makes such names a fault.
	Strict bool
}

// Catalogue is where the receivers are: system → value → address. It is never changed once it is made.
type Catalogue struct {
	places  map[Target]place
	systems map[string]bool
	faults  []string // of entries that were left out
	strange []string // of entries whose names break the rules
}

// place is where a receiver is, or why that cannot be said.
type place struct {
	address *url.URL
	fault   string // of an entry that was left out
}

// document is a catalogue's JSON (BAR-1.28).
type document struct {
	Systems map[string]map[string]string `json:"NHSD-Target-Identifier"`
}

// ParseCatalogue reads a catalogue: {"NHSD-Target-Identifier":{"<system>":{"<value>":"https://…"}}}. An entry that
// breaks the rules is left out, and is not a reason to lose all others.
func ParseCatalogue(data []byte, rules Rules) (*Catalogue, error) {
	var read document
	if err := json.Unmarshal(data, &read); err != nil {
		return nil, fmt.Errorf("it is not the JSON of a catalogue, such as {\"NHSD-Target-Identifier\":{\"<system>\":{\"<value>\":\"https://…\"}}}: %w", err)
	}
	if len(read.Systems) == 0 {
		return nil, errors.New("it has no NHSD-Target-Identifier with a system in it")
	}
	c := newCatalogue()
	for system, values := range read.Systems {
		c.systems[system] = true
		for value, address := range values {
			if err := c.add(Target{system, value}, address, rules); err != nil {
				c.places[Target{system, value}] = place{fault: err.Error()}
				c.faults = append(c.faults, fmt.Sprintf("%s %s: %v", system, value, err))
			}
		}
	}
	if len(c.faults) == len(c.places) {
		return nil, fmt.Errorf("none of its %d entries can be used%s", len(c.places), firstOf(c.faults))
	}
	c.sort()
	return c, nil
}

// NewCatalogue makes a catalogue of entries that were written by hand, in which each has to be right.
func NewCatalogue(entries map[Target]string, rules Rules) (*Catalogue, error) {
	c := newCatalogue()
	for target, address := range entries {
		if target.System == "" || target.Value == "" {
			return nil, errors.New("a target has no system or no value")
		}
		c.systems[target.System] = true
		if err := c.add(target, address, rules); err != nil {
			return nil, fmt.Errorf("target %s %s: %w", target.System, target.Value, err)
		}
	}
	c.sort()
	return c, nil
}

func newCatalogue() *Catalogue {
	return &Catalogue{places: map[Target]place{}, systems: map[string]bool{}}
}

func (c *Catalogue) sort() {
	slices.Sort(c.faults)
	slices.Sort(c.strange)
}

func firstOf(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return ", such as " + slices.Min(texts)
}

func (c *Catalogue) add(target Target, address string, rules Rules) error {
	parsed, err := checkAddress(address, rules.Loose)
	if err != nil {
		return err
	}
	if rules.Name != nil {
		err := rules.Name(parsed.Hostname())
		if err != nil && rules.Strict {
			return err
		}
		if err != nil {
			c.strange = append(c.strange, fmt.Sprintf("%s %s: %v", target.System, target.Value, err))
		}
	}
	c.places[target] = place{address: parsed}
	return nil
}

// looksNumeric finds host names that some resolvers take for an address: 127.1, 2130706433, 0x7f000001.
var looksNumeric = regexp.MustCompile(`(?i)(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$`)

// checkAddress reads a receiver's address.
func checkAddress(address string, loose bool) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%q is not an absolute https URL", address)
	}
	_, literal := netip.ParseAddr(u.Hostname())
	switch {
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(address, "#"):
		return nil, fmt.Errorf("%q may have neither user, query nor fragment", u.Redacted())
	case loose:
	case u.Scheme != "https":
		return nil, fmt.Errorf("%q is not https", address)
	case literal == nil || looksNumeric.MatchString(u.Hostname()):
		return nil, fmt.Errorf("%q is an address literal; a receiver is known by the name in its certificate", address)
	}
	return withoutSlash(u), nil
}

// withoutSlash takes one trailing slash off the path.
func withoutSlash(u *url.URL) *url.URL {
	raw := u.EscapedPath()
	if path, slash := strings.CutSuffix(u.Path, "/"); slash && strings.HasSuffix(raw, "/") {
		u.Path, u.RawPath = path, strings.TrimSuffix(raw, "/")
	}
	return u
}

// Lookup finds a target's address.
func (c *Catalogue) Lookup(target Target) (*url.URL, *Outcome) {
	found, known := c.places[target]
	switch {
	case found.address != nil:
		return found.address, nil
	case known:
		outcome := unknownTarget.With("the catalogue's entry cannot be used: %s", found.fault)
		outcome.Fault = FaultProxy
		return nil, outcome
	case !c.systems[target.System]:
		return nil, unknownTarget.With("the catalogue has no such system")
	}
	return nil, unknownTarget.With("the catalogue has the system, and no such value in it")
}

// Size is how many targets can be reached.
func (c *Catalogue) Size() int { return len(c.places) - len(c.faults) }

// Hosts are the receivers' host names, sorted.
func (c *Catalogue) Hosts() []string {
	hosts := map[string]bool{}
	for _, place := range c.places {
		if place.address != nil {
			hosts[place.address.Hostname()] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// LeftOut says, of each entry that cannot be used, why.
func (c *Catalogue) LeftOut() []string { return c.faults }

// Unusual says, of each entry whose name breaks the rules for names, how. It is used all the same.
func (c *Catalogue) Unusual() []string { return c.strange }
