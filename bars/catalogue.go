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

	"github.com/seed-dd2befc3/countersign/textfile"
)

// Rules are checked for each entry of a catalogue.
type Rules struct {
	// Loose admits plain http and address literals, and compares systems without regard to case (BAR-5.23). Only the
	// sandbox sets it.
	Loose bool
	// Name reports what is unusual about a receiver's host name, which is a warning. nil accepts every name.
	Name func(host string) error
	// Strict turns such warnings into faults.
	Strict bool
}

// Catalogue maps system and value to a receiver's URL. It is immutable.
type Catalogue struct {
	fold    bool // whether systems are compared without regard to case
	places  map[Target]place
	systems map[string]bool
	faults  []string // of entries that were left out
	strange []string // entries whose names break the naming rules
}

// place is a receiver's URL, or why it has none.
type place struct {
	address *url.URL
	fault   string // of an entry that was left out
}

// document is a catalogue's JSON (BAR-1.28).
type document struct {
	Systems map[string]map[string]string `json:"NHSD-Target-Identifier"`
}

// ParseCatalogue reads a catalogue: {"NHSD-Target-Identifier":{"<system>":{"<value>":"https://…"}}}. An entry that
// breaks the rules is left out; the others are used.
func ParseCatalogue(data []byte, rules Rules) (*Catalogue, error) {
	text, err := textfile.UTF8(data)
	if err != nil {
		return nil, fmt.Errorf("not a catalogue: %w", err)
	}
	var read document
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("not a catalogue in JSON, such as {\"NHSD-Target-Identifier\":{\"<system>\":{\"<value>\":\"https://…\"}}}: %w", err)
	}
	if len(read.Systems) == 0 {
		return nil, errors.New("no system under NHSD-Target-Identifier")
	}
	c := newCatalogue(rules)
	for system, values := range read.Systems {
		c.systems[c.key(Target{system, ""}).System] = true
		for value, address := range values {
			if err := c.add(Target{system, value}, address, rules); err != nil {
				c.places[c.key(Target{system, value})] = place{fault: err.Error()}
				c.faults = append(c.faults, fmt.Sprintf("%s %s: %v", system, value, err))
			}
		}
	}
	if len(c.faults) == len(c.places) {
		return nil, fmt.Errorf("none of the %d entries can be used%s", len(c.places), firstOf(c.faults))
	}
	c.sort()
	return c, nil
}

// NewCatalogue makes a catalogue of entries written by hand, all of which must be valid.
func NewCatalogue(entries map[Target]string, rules Rules) (*Catalogue, error) {
	c := newCatalogue(rules)
	for target, address := range entries {
		if target.System == "" || target.Value == "" {
			return nil, errors.New("a target has no system or no value")
		}
		c.systems[c.key(target).System] = true
		if err := c.add(target, address, rules); err != nil {
			return nil, fmt.Errorf("target %s %s: %w", target.System, target.Value, err)
		}
	}
	c.sort()
	return c, nil
}

func newCatalogue(rules Rules) *Catalogue {
	return &Catalogue{fold: rules.Loose, places: map[Target]place{}, systems: map[string]bool{}}
}

// key returns a target as the catalogue compares it.
func (c *Catalogue) key(target Target) Target {
	if c.fold {
		target.System = strings.ToLower(target.System)
	}
	return target
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
	c.places[c.key(target)] = place{address: parsed}
	return nil
}

// looksNumeric matches host names that some resolvers read as an address: 127.1, 2130706433, 0x7f000001.
var looksNumeric = regexp.MustCompile(`(?i)(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$`)

// checkAddress parses and checks a receiver's URL.
func checkAddress(address string, loose bool) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%q is not an absolute https URL", address)
	}
	_, literal := netip.ParseAddr(u.Hostname())
	switch {
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(address, "#"):
		return nil, fmt.Errorf("%q must not have a user, query or fragment", u.Redacted())
	case loose:
	case u.Scheme != "https":
		return nil, fmt.Errorf("%q does not begin with https://", address)
	case literal == nil || looksNumeric.MatchString(u.Hostname()):
		return nil, fmt.Errorf("%q is an IP address: use the host name in the receiver's certificate", address)
	}
	return withoutSlash(u), nil
}

// withoutSlash removes one trailing slash from the path.
func withoutSlash(u *url.URL) *url.URL {
	raw := u.EscapedPath()
	if path, slash := strings.CutSuffix(u.Path, "/"); slash && strings.HasSuffix(raw, "/") {
		u.Path, u.RawPath = path, strings.TrimSuffix(raw, "/")
	}
	return u
}

// Lookup returns a target's URL.
func (c *Catalogue) Lookup(target Target) (*url.URL, *Outcome) {
	target = c.key(target)
	found, known := c.places[target]
	switch {
	case found.address != nil:
		return found.address, nil
	case known:
		outcome := unknownTarget.With("the catalogue's entry cannot be used: %s", found.fault)
		outcome.Fault = FaultProxy
		return nil, outcome
	case !c.systems[target.System]:
		return nil, unknownTarget.With("the catalogue does not have the system")
	}
	return nil, unknownTarget.With("the catalogue has the system but not the value")
}

// Size is the number of targets that can be reached.
func (c *Catalogue) Size() int { return len(c.places) - len(c.faults) }

// Hosts returns the receivers' host names, sorted.
func (c *Catalogue) Hosts() []string {
	hosts := map[string]bool{}
	for _, place := range c.places {
		if place.address != nil {
			hosts[place.address.Hostname()] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// LeftOut returns, for each entry that cannot be used, the entry and why.
func (c *Catalogue) LeftOut() []string { return c.faults }

// Unusual returns, for each entry whose name breaks the naming rules, the entry and which rule. Such entries are
// used.
func (c *Catalogue) Unusual() []string { return c.strange }
