// Command sbom writes the software bill of materials of a Go binary in CycloneDX 1.6 (JSON), from what the binary
// itself says it was built from: nothing that is linked is left out, and nothing else is listed.
//
//	go run ./scripts/sbom BINARY >BINARY.cdx.json
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/google/uuid"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sbom BINARY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// bom is the part of CycloneDX 1.6 that is used here.
type bom struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	SerialNumber string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp,omitempty"`
	Component component `json:"component"`
}

type component struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

func run(path string, out io.Writer) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path) //nolint:gosec // the binary that is asked for
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(describe(filepath.Base(path), info, sha256.Sum256(content)))
}

// describe is the same for the same binary: its serial number comes from the binary's digest, its time from the commit.
func describe(name string, info *debug.BuildInfo, digest [sha256.Size]byte) bom {
	made := bom{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		SerialNumber: "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, digest[:]).String(),
	}
	main := library(&info.Main)
	main.Type, main.Hashes = "application", []hash{{"SHA-256", hex.EncodeToString(digest[:])}}
	main.Properties = append(main.Properties, property{"file", name})
	for _, setting := range info.Settings {
		if setting.Key == "vcs.time" {
			made.Metadata.Timestamp = setting.Value
		}
		main.Properties = append(main.Properties, property{"build:" + setting.Key, setting.Value})
	}
	made.Metadata.Component = main
	direct := dependency{Ref: main.Ref}
	for _, module := range append([]*debug.Module{standardLibrary(info)}, info.Deps...) {
		if module.Replace != nil {
			module = module.Replace
		}
		part := library(module)
		made.Components = append(made.Components, part)
		direct.DependsOn = append(direct.DependsOn, part.Ref)
	}
	made.Dependencies = []dependency{direct}
	return made
}

// library describes a module. Its checksum is go.sum's, which is one of the module's files and not of an archive, so
// it is a property and no hash.
func library(module *debug.Module) component {
	purl := "pkg:golang/" + module.Path
	if module.Version != "" {
		purl += "@" + strings.ReplaceAll(module.Version, "+", "%2B")
	}
	c := component{Ref: purl, Type: "library", Name: module.Path, Version: module.Version, PURL: purl}
	if module.Sum != "" {
		c.Properties = []property{{"go.sum", module.Sum}}
	}
	return c
}

func standardLibrary(info *debug.BuildInfo) *debug.Module {
	return &debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
}
