package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// modulePath is the module that a build from a checkout replaces.
const modulePath = "github.com/seed-dd2befc3/countersign"

// manifest is xcaddy.toml.
type manifest struct {
	XCaddy  string   `toml:"xcaddy"` // version of xcaddy
	Caddy   string   `toml:"caddy"`  // version of Caddy
	Output  string   `toml:"output"`
	Plugins []plugin `toml:"plugin"`
}

type plugin struct {
	Name    string `toml:"name"`
	Module  string `toml:"module"`
	Version string `toml:"version"` // empty: the latest
	About   string `toml:"about"`
	Default bool   `toml:"default"`
}

func readManifest(file string) (manifest, error) {
	var m manifest
	meta, err := toml.DecodeFile(file, &m)
	if err != nil {
		return m, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return m, fmt.Errorf("%s: %s is not understood", file, unknown[0])
	}
	if m.Caddy == "" || m.XCaddy == "" || m.Output == "" || len(m.Plugins) == 0 {
		return m, fmt.Errorf("%s: xcaddy, caddy, output and at least one plugin are needed", file)
	}
	return m, nil
}

// command is one run of xcaddy.
type command struct {
	xcaddy string // its version
	env    []string
	args   []string
}

func (c command) String() string {
	return strings.Join(append(slices.Clone(c.env), c.args...), " ")
}

// command makes the build of the default plugins and of those that are named besides.
func (m manifest) command(with []string, local bool) (command, error) {
	c := command{xcaddy: m.XCaddy, args: []string{"xcaddy", "build", m.Caddy, "--output", m.Output}}
	for _, name := range with {
		if !slices.ContainsFunc(m.Plugins, func(p plugin) bool { return p.Name == name }) {
			return c, fmt.Errorf("there is no plugin %q in the manifest", name)
		}
	}
	for _, p := range m.Plugins {
		if !p.Default && !slices.Contains(with, p.Name) {
			continue
		}
		module := p.Module
		if p.Version != "" {
			module += "@" + p.Version
		}
		c.args = append(c.args, "--with", module)
	}
	if local {
		c.args = append(c.args, "--replace", modulePath+"=.")
		// The checkout stands for the module, so nobody is to be asked for it.
		c.env = []string{"GOPRIVATE=" + modulePath, "GOVCS=" + modulePath + ":off"}
	}
	return c, nil
}
