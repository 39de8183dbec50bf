# The main commands are `make run` and `make test`. Each needs nothing but Go on the
# machine.

FUZZTIME ?= 5s
BUILDFLAGS ?= -trimpath
TOOL := go tool -modfile=$(CURDIR)/.ci/tools/go.mod

# Variables of make chaos. Runs with one seed are similar, not identical. WRITE names a
# document for the table.
SEED ?= $(shell date +%s)
DURATION ?= 5m
TOPOLOGY ?= all
WRITE ?=

.PHONY: help flask express event run build site test test-full fuzz bench microbench chaos lint fmt deps deps-full deps-bench clean release vulncheck

help: ## Show this list
	@sed -n 's/^\([a-z -]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# Demo secrets. Variables of the environment win.
flask express event: export STRIPE_WEBHOOK_SECRET ?= whsec_demo_only_0123456789abcdef
flask express event: export GITHUB_WEBHOOK_SECRET ?= demo-only-0123456789abcdef
flask express: build ## Start Flask, or Express, behind the gateway on :8080, which takes Stripe and GitHub
	@.ci/deps $@
	@examples/start $@

event: ## Send one of Stripe's events to the gateway on :8080, twice
	@bin/caddy webhook-guard send stripe http://localhost:$${PORT:-8080}/webhooks/stripe --config examples/Caddyfile --repeat 2

# As in production.
run: export GOGC ?= $(shell sed -n 's/^GOGC=//p' packaging/environment)
run: export GOMEMLIMIT ?= $(shell sed -n 's/^GOMEMLIMIT=//p' packaging/environment)
run: build ## Start the gateway on :8080, with demo secrets, a receiver that shows what arrives, and the page on :8082
	bin/caddy run --config Caddyfile --envfile examples/demo.env

build: ## Build bin/caddy: stock Caddy plus this module
	go build $(BUILDFLAGS) -o bin/caddy ./cmd/caddy

# The tests are more than one module: .ci/go.work holds them together.
test test-full fuzz microbench chaos: export GOWORK := $(CURDIR)/.ci/go.work
# Slow packages start first, so that none is left at the end.
ALL := ./test/e2e ./test/guides ./dedupe/... ./test/chaos ./test/browser ./explain/... ./internal/testbed ./.ci/site ./...
GOTEST = go test -race -count=1 -vet=off -p $(shell getconf _NPROCESSORS_ONLN)

test: deps ## Run what must always pass
	go vet $(ALL)
	$(GOTEST) -timeout 80m $(ALL)
	go test -count=1 -vet=off -run Allocations ./signature
	@# Instrumenting all of Caddy takes minutes; its seeds have run above.
	@$(MAKE) --no-print-directory fuzz FUZZSKIP=./caddymodule

test-full: deps-full ## Run everything, the long runs too
	go vet -tags full $(ALL)
	$(GOTEST) -tags full -timeout 150m $(ALL)
	$(PACKAGING) -tags full -timeout 60m ./...
	go test -count=1 -vet=off -run Allocations ./signature
	@$(MAKE) --no-print-directory fuzz FUZZTIME=30s

fuzz: ## Run each fuzz target for FUZZTIME
	.ci/fuzz $(FUZZTIME) $(filter-out $(FUZZSKIP),$(shell grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u))

# The checks of packaging/ are a module outside the workspace: what they need must not change
# the versions that everything else is tested with.
PACKAGING = GOWORK=off go -C packaging test -count=1

release: ## Build a release into dist: archives, packages, SBOMs, checksums, provenance
	GOWORK=off go -C packaging run ./release $(if $(VERSION),-version $(VERSION))

vulncheck: ## Look for known vulnerabilities that the code can reach
	@.ci/vulncheck ./...

bench: deps-bench ## Measure the cost of the guard, and write docs/performance.md; BENCH=-short shows that it runs
	go run ./bench/cmd $(BENCH)

microbench: deps ## Run the benchmarks of single functions
	go test -run '^$$' -bench . -benchmem ./... ./test/chaos

chaos: deps ## Inject faults under load for DURATION, drawn from SEED, and check every event
	go test -count=1 -timeout 0 -v -run TestChaos ./test/chaos -args -chaos.seed=$(SEED) -chaos.duration=$(DURATION) \
		-chaos.topology=$(TOPOLOGY) $(if $(WRITE),-chaos.write=$(abspath $(WRITE)))

lint: ## Check form and the usual mistakes
	$(TOOL) actionlint -shellcheck= -pyflakes=
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path '*/node_modules/*')); \
	if [ -n "$$unformatted" ]; then echo "Run make fmt for:"; echo "$$unformatted"; exit 1; fi
	@set -e; \
	for dir in $$(find . -name go.mod -not -path './.ci/*' -not -path '*/node_modules/*' -printf '%h\n' | sort); do \
		echo "golangci-lint run in $$dir"; \
		(cd "$$dir" && $(TOOL) golangci-lint run); \
	done

site: ## Make HTML pages of the documents, in bin/site
	go -C .ci/site run . $(CURDIR) $(CURDIR)/bin/site

fmt: ## Format the Go files and the Caddyfiles
	gofmt -w $$(find . -name '*.go' -not -path '*/node_modules/*')
	for file in Caddyfile examples/Caddyfile examples/*/Caddyfile; do go run ./cmd/caddy fmt --overwrite $$file; done

deps: ## Install what the tests need and this machine lacks
	@.ci/deps

deps-full: ## Install what test-full needs too: the SDKs of some sixty senders, five programs, Chromium, and deps-bench
	@.ci/deps full

deps-bench: ## Install what bench needs: the peers that it compares with
	@.ci/deps bench

clean: ## Remove what was built and installed in this directory
	rm -rf bin dist examples/express/node_modules bench/peers/express/node_modules test/interop/sdk/node_modules test/interop/sdk/full/node_modules \
		test/browser/node_modules test/browser/shots test/editor/node_modules
