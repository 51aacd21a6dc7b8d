# Countersign: `make test` runs every proof; `make help` lists what else there is.
#
# One set of build flags everywhere, so that nothing is compiled twice. The binary under test is built once
# with the race detector and handed to the tests that drive it from outside (COUNTERSIGN_CADDY).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

BIN := $(CURDIR)/bin
FUZZTIME ?= 10s
N ?= 25
ONLY ?=
COUNT ?=
BENCHTIME ?= 1s
TESTFLAGS ?=
TEST_TIMEOUT ?= 30m

# The root package and its own are what ships; test/ and scripts/ are what checks it.
PACKAGES := ./...

.PHONY: help build test ensure tools lint fmt vet gotest static caddyfiles vuln faults proof fuzz bench release clean \
	bench-verify bench-read bench-commit bench-request bench-durable bench-openloop bench-memory bench-cards bench-crowd bench-bars bench-store

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/caddy, with the mock agent and the demo
	go build -o $(BIN)/caddy ./cmd/caddy

test: ensure tools ## every proof: format, lint, vet, builds, Caddyfiles, tests with the race detector
	@scripts/step lint scripts/lint
	@scripts/step vet go vet $(PACKAGES)
	@scripts/step build $(MAKE) build
	@scripts/step static scripts/static-check
	@scripts/step caddyfiles scripts/caddyfiles-check $(BIN)/caddy
	@scripts/step tests $(MAKE) gotest
	@scripts/step vuln scripts/vuln advisory

ensure: ## install what the tests need from outside Go (as root on Debian), or say what is missing
	@scripts/ensure

tools: ## install the linters, at their pinned versions, into bin/
	@scripts/tools golangci-lint

lint: tools ## format and lint
	@scripts/lint

fmt: tools ## format every Go file and every Caddyfile
	$(BIN)/golangci-lint fmt
	@scripts/caddyfiles-check --write

vet: ## go vet
	go vet $(PACKAGES)

gotest: ## all Go tests with the race detector; fails when one was skipped
	go build -race -o $(BIN)/caddy-race ./cmd/caddy
	go build -o $(BIN)/testsum ./scripts/testsum
	COUNTERSIGN_CADDY=$(BIN)/caddy-race go test -race -json -timeout $(TEST_TIMEOUT) $(TESTFLAGS) $(PACKAGES) | $(BIN)/testsum

static: ## check that a build of the root package alone is static
	@scripts/static-check

caddyfiles: build ## validate every shipped Caddyfile and check its format
	@scripts/caddyfiles-check $(BIN)/caddy

vuln: ## check the dependencies against the Go vulnerability database (needs the network)
	@scripts/vuln

faults: ## make N faults of each kind (ONLY=Kill: of one) and look for what is lost; as root
	go build -o $(BIN)/caddy ./cmd/caddy
	COUNTERSIGN_CADDY=$(BIN)/caddy FAULTS=$(N) go test -count=1 -v -timeout 0 -run '^Test(?i:$(ONLY))' ./test/faults

proof: ## the long campaigns of test/campaigns (ONLY="kill power-cut": some; COUNT=n: n of each); goes on where it was interrupted
	@MAKEFLAGS= COUNT=$(COUNT) scripts/proof $(ONLY)

fuzz: ## run each fuzz target for FUZZTIME
	@scripts/fuzz $(FUZZTIME)

bench: ## run the Go benchmarks
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(PACKAGES)

release: ## build what is released, for all systems, into dist/ (compiles for some minutes)
	@scripts/release

bench-verify: ## RSA-4096 verification against openssl and crypto/rsa
	go test -run '^$$' -bench 'VerifyRatio$$' -benchtime 101x ./jwks

bench-read: ## 250 payloads read, verified and decoded, against golang-jwt
	go test -run '^$$' -bench 'Read$$' -benchtime 201x ./signing

bench-commit: ## durable commits, grouped against each for itself
	go test -run '^$$' -bench 'Commit$$' -benchtime 5x ./store/badger

bench-request: ## signing requests to the built binary, against a naive handler in Caddy and HAProxy
bench-durable: ## the store on the disk against the one in memory
bench-openloop: ## 1,000 requests a second, against Caddy's respond
bench-memory: ## memory with 40,000 live sessions, and the next starts
bench-crowd: ## what a well-behaved client notices of slow connections and of strangers who post garbage
bench-bars: ## a message from sender over proxy to receiver, against Caddy's reverse_proxy with the same mutual TLS
bench-store: ## Badger and PostgreSQL, one gateway and two, and how soon a killed one is ready again
bench-request bench-durable bench-openloop bench-memory bench-crowd bench-bars bench-store:
	go run ./test/bench -only $(@:bench-%=%)

bench-cards: ## 250 signatures over SoftHSM2, by the agent alone and through the gateway, against the bare module
	go test -run '^$$' -bench 'Agent$$' -benchtime 21x ./smartcard/pkcs11
	go test -run '^$$' -bench 'Cards$$' -benchtime 11x ./test/cards

clean: ## remove what was built
	rm -rf $(BIN) dist
