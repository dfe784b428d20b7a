# The commands of this project. CI runs `make test` and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
WAY ?= --proxy
AWAY ?= --store-away 300
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Every cargo command takes the whole workspace, so that features are the same and nothing is compiled twice.
say = @printf '\n== %s\n' "$(1)"

# Lints come with compiling: what is tested is made by the compiler that `cargo clippy` calls too, so that nothing is compiled or checked
# twice. It optimizes a little less, so what is measured or shipped (`build`) is made by rustc itself.
LINTED := lint test-rust test-embedded test-browser test-long fuzz
$(LINTED): export RUSTC_WORKSPACE_WRAPPER := clippy-driver
$(LINTED): export CLIPPY_ARGS := -Dwarnings__CLIPPY_HACKERY__

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: demo
demo: build ## Run everything on this machine with replayed real blocks; prints the dashboard's URL
	$(call say,starting the demo; stop it with Ctrl-C)
	$(TARGET)/release/headwater demo

.PHONY: build
build: fetch dashboard ## Build the release binary with the dashboard in it
	$(call say,building release/headwater (the first time takes minutes))
	$(CARGO) build --release --locked --workspace --bins
	@echo "built $(TARGET)/release/headwater"

.PHONY: test
test: prerequisites fmt-check lint test-rust test-browser deny ## Run every check and test, as CI does
	$(call say,all checks and tests passed)

.PHONY: test-static
test-static: prerequisites fmt-check lint deny ## Format, lints, licences and who may use what

.PHONY: test-rust
test-rust: fetch fetch-test dashboard ## All Rust tests, against the real engine, EVM node, Kafka, registry and PostgreSQL
	$(call say,Rust tests)
	$(CARGO) test --workspace --locked --no-run
	scripts/test-rust scripts/once-more $(CARGO) test --workspace --locked

.PHONY: test-embedded
test-embedded: test-static fetch fetch-test dashboard ## As `test`, without Kafka, PostgreSQL and browser: needs no Java
	$(call say,Rust tests without Kafka)
	env -u HEADWATER_TEST_KAFKA -u HEADWATER_TEST_REGISTRY -u HEADWATER_TEST_POSTGRES $(CARGO) test --workspace --locked

.PHONY: chaos
chaos: build ## Kill stages and brokers, spoil the ways, compare every row. CHAOS="--seconds 3600 --seed 7"; WAY= without a proxy
	$(TARGET)/release/loadtest chaos $(WAY) $(CHAOS)

.PHONY: chaos-alerts
chaos-alerts: build ## Kill stages 200 times while alerts are told, over both logs, look at every message. CHAOS_ALERTS="--kills 50 --seed 7"
	$(TARGET)/release/loadtest chaos-alerts --embedded $(CHAOS_ALERTS)
	$(TARGET)/release/loadtest chaos-alerts $(CHAOS_ALERTS)

.PHONY: away
away: build ## The store away while chains grow, over both logs, then every row compared. AWAY="--store-away 7200 --rate 1000"
	$(TARGET)/release/loadtest chaos --embedded --calm --seconds 30 $(AWAY)
	$(TARGET)/release/loadtest chaos --calm --seconds 30 $(AWAY)

.PHONY: completeness
completeness: build ## How fast completeness answers at 100 million transactions, 15 GB in TMPDIR. COMPLETENESS="--rows 20000000 --dir PATH"
	$(TARGET)/release/loadtest completeness $(COMPLETENESS)

.PHONY: backfill
backfill: build ## Fill 20,000 heights below a live chain, killed 20 times, compare every one. BACKFILL="--heights 2000 --kills 5 --seed 7"
	$(TARGET)/release/loadtest backfill $(BACKFILL)

.PHONY: tenants
tenants: build ## 1,000 tenants beside one with as much, a noisy one beside a quiet one, what a credential costs. TENANTS="--kafka HOST:PORT --rounds 3"
	$(TARGET)/release/loadtest tenants $(TENANTS)

.PHONY: workers
workers: build ## 16 workers, 64 partitions, 50 networks on one broker; some stop, die and join. WORKERS="--rounds 3 --seed 7"
	$(TARGET)/release/loadtest workers $(WORKERS)
	$(TARGET)/release/loadtest workers --ingest 8 --enrich 8 $(WORKERS)

.PHONY: fuzz
fuzz: fetch ## Random statements of an analyst, answers of nodes and calldata, an hour each. HEADWATER_FUZZ_SECONDS=600 HEADWATER_FUZZ_SEED=7
	HEADWATER_FUZZ_SECONDS=$${HEADWATER_FUZZ_SECONDS:-3600} $(CARGO) test --workspace --locked --test fuzz -- --nocapture

.PHONY: services
services: prerequisites ## Start Kafka and a schema registry on free ports; prints how to reach them
	scripts/services up

.PHONY: services-stop
services-stop: ## Stop them
	scripts/services down

.PHONY: test-long
test-long: fetch dashboard ## What else is tried by a sample: every statement to be cut off at, more seeds and kills; an export of a million rows
	HEADWATER_TEST_LONG=1 HEADWATER_RESILIENCE_ROUNDS=50 $(CARGO) test --workspace --locked --test sink --test life --test resilience
	HEADWATER_TEST_LONG=1 $(CARGO) test --workspace --locked --test api -- export::a_large --nocapture
	HEADWATER_TEST_LONG=1 scripts/test-rust $(CARGO) test --workspace --locked --test system -- kill:: windows:: faults:: chaos:: away:: --include-ignored

.PHONY: test-browser
test-browser: fetch lint ## The dashboard in a real browser against the real binary
	$(call say,dashboard in a browser)
	scripts/in-memory scripts/test-browser $(TARGET)/debug/headwater

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: fmt-check
fmt-check:
	$(call say,format)
	$(CARGO) fmt --all --check

.PHONY: lint
lint: dashboard
	$(call say,lints and tests are compiled)
	$(CARGO) build --workspace --all-targets --locked

.PHONY: deny
deny:
	$(call say,licences and rooms of dependencies)
	scripts/deny

.PHONY: dashboard
dashboard: prerequisites ## Check, test and build the dashboard into dashboard/build
	$(call say,dashboard)
	scripts/build-dashboard

.PHONY: fetch
fetch: prerequisites ## Fetch the store's engine into the cache (once, about 200 MB)
	$(call say,store engine)
	scripts/fetch-chdb

.PHONY: fetch-test
fetch-test: prerequisites ## Fetch the servers, the foreign consumers, SQL clients and receivers of alerts that tests use
	$(call say,servers and foreign clients for tests)
	scripts/fetch-anvil
	scripts/fetch-consumers
	scripts/fetch-clients
	scripts/fetch-receivers
	scripts/fetch-bitcoin

.PHONY: bench
bench: build ## Measure speed, CPU by stage, bytes, memory and latency over both logs (without Java: the embedded one)
	scripts/bench

.PHONY: bench-peers
bench-peers: build ## Measure node to Kafka beside ethereum-etl and cryo on the same node
	scripts/bench-peers

.PHONY: prerequisites
prerequisites:
	@scripts/prerequisites

.PHONY: clean
clean: ## Remove what was built here (the cache outside stays)
	$(CARGO) clean
	rm -rf dashboard/build dashboard/.svelte-kit dashboard/node_modules
