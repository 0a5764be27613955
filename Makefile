# Everything a developer runs. `make test` needs nothing but Go and, on Debian, apt.

GO ?= go
# The Go of go.mod's toolchain line, also where the installed one is told to stay (GOTOOLCHAIN=local, as in the images of
# Go): it is the one that releases are built with and the one whose holes are mended. The tools have it too, because a
# linter that was built with an older Go than it checks refuses to work.
export GOTOOLCHAIN := $(shell GO=$(GO) scripts/toolchain)
LDFLAGS := -s -w -X main.version=$(shell git describe --tags --always --dirty 2>/dev/null || echo dev) \
	-X main.commit=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: all build demo test check vuln cover bench bench-pacing bench-peers bench-bar bench-against fuzz deps generate clean cross packages snapshot

all: check test

build: ## the binary, as a release has it
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/evergate ./cmd/proxy

# Build and vet have the same flags, so that what both need is compiled once; nobody runs it, so it need not be fast.
cross: ## the systems that nothing else here builds for, and what vet says of them
	for target in darwin/arm64 windows/amd64; do \
		export CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} GOFLAGS="$$GOFLAGS '-gcflags=all=-N -l'" && \
		$(GO) build -o /dev/null ./cmd/proxy && $(GO) vet ./cmd/... ./internal/... || exit 1; \
	done

packages: bin/nfpm bin/cyclonedx-gomod ## the Debian and RPM packages, into dist/
	scripts/package

snapshot: bin/goreleaser bin/cyclonedx-gomod ## all that a release has, of the working tree, into dist/; builds goreleaser, which takes minutes
	env $$(scripts/place) bin/goreleaser release --snapshot --clean
	scripts/channels dist

.PHONY: release
release: bin/goreleaser bin/cyclonedx-gomod ## what the workflow runs at a tag; it publishes a draft
	env $$(scripts/place) bin/goreleaser release --clean
	scripts/channels dist

demo: ## a simulated Shopify and Evergate in front of it
	$(GO) run ./cmd/proxy demo

test: deps ## every test, with everything it needs; nothing is skipped
	TEST_COMPONENTS=required $(GO) test -race -shuffle=on -count=1 -vet=off -timeout 20m ./... # `make check` vets

deps: bin/kubernetes bin/actionlint ## what the tests use beside Go
	./scripts/install-test-deps

.PHONY: bin/kubernetes
bin/kubernetes: ## helm and a Kubernetes API server, for the tests of the chart; minutes, once
	./scripts/build-kubernetes-tools

check: bin/golangci-lint bin/actionlint cross ## what a reviewer should not have to say
	test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) vet -tags nethttp ./internal/... ./cmd/...
	bin/golangci-lint run
	if command -v shellcheck >/dev/null; then \
		shellcheck .ci/run scripts/* examples/simulator/bash/*.sh deploy/package/*.sh deploy/install/install.sh deploy/systemd/evergate-exec test/package/testdata/boot; \
	fi
	bin/actionlint

# Not part of `make check`: it asks vuln.go.dev, and what is right today may be wrong tomorrow.
vuln: bin/govulncheck ## whether something known to be vulnerable is called; needs the network
	bin/govulncheck ./...

bin/govulncheck: go.mod tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../bin/ golang.org/x/vuln/cmd/govulncheck

cover: ## which statements the tests of internal/ and cmd/ reach, into dist/coverage.html
	mkdir -p dist
	$(GO) test -coverpkg=./cmd/...,./internal/... -coverprofile=dist/coverage.out ./cmd/... ./internal/...
	$(GO) tool cover -html=dist/coverage.out -o dist/coverage.html
	$(GO) tool cover -func=dist/coverage.out | tail -n 1

bin/golangci-lint: go.mod tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../bin/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# Fixed flags: the SBOM names the hash of the program that made it.
RELEASE_TOOL = cd tools/release && $(GO) build -trimpath -buildvcs=false -o ../../bin/

bin/nfpm: tools/release/go.mod tools/release/go.sum
	$(RELEASE_TOOL) github.com/goreleaser/nfpm/v2/cmd/nfpm

bin/goreleaser: tools/release/go.mod tools/release/go.sum
	$(RELEASE_TOOL)goreleaser github.com/goreleaser/goreleaser/v2

bin/cyclonedx-gomod: tools/release/go.mod tools/release/go.sum
	$(RELEASE_TOOL) github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

# Not in tools/: it and golangci-lint need two versions of a YAML library that are not alike.
bin/actionlint: tools/release/go.mod tools/release/go.sum
	$(RELEASE_TOOL) github.com/rhysd/actionlint/cmd/actionlint

bench: ## the request path beside other ways to do the same, where only ratios mean anything; a scrape of 1000 shops
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 2s ./internal/inject ./internal/metrics

bench-pacing: ## waiting for the rate limit beside not waiting, a minute each; draws docs/using/rate-limits.svg
	$(GO) run ./test/pacing

BENCH = ./scripts/install-bench-peers && mkdir -p dist && $(GO) build -o dist/bench ./bench && dist/bench

bench-peers: ## Evergate beside nginx, HAProxy and Caddy, a quarter of an hour; writes docs/developing/performance.md. BENCHFLAGS=-quick: a minute, and no page
	$(BENCH) $(or $(BENCHFLAGS),-docs docs/developing)

bench-bar: ## whether a request has become dearer by a tenth, against nginx in the same run
	$(BENCH) -bar

bench-against: bin/benchstat ## the stages of a request beside those of the last release; minutes
	scripts/bench-against

bin/benchstat: tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../bin/ golang.org/x/perf/cmd/benchstat

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME
	./scripts/fuzz $(FUZZTIME)

generate: ## what is made from the code: tables in docs/, the chart's README and copies; its renders after `make bin/kubernetes`
	$(GO) test ./internal/config -run TestMarkdown -update
	$(GO) test ./test/kubernetes -update

clean:
	rm -rf bin dist dist-share dist-install
