# One word a target; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export PREFECT_SERVER_ANALYTICS_ENABLED ?= false

.PHONY: help setup demo test chaos check format bench lock clean

help: ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.installed ## Create .venv with the pinned wheels

.venv/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned wheels into .venv (once; a minute or two) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## The main job on a made catalogue: no key, no network
	@$(BIN)/stemline demo

test: setup ## Run the tests
	@$(BIN)/pytest -n auto --dist loadgroup

chaos: setup ## Kill and disturb real runs at random: make chaos N=200 SEED=1
	@$(BIN)/python benchmarks/chaos.py $(or $(N),200) $(or $(SEED),1)

check: setup ## Format, lint, types and import contracts
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 8

format: setup ## Rewrite the code in the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup ## The request scheduler: by simulation, then against the vendor's own package: make bench MINUTES=5
	@$(BIN)/python benchmarks/bench_scheduler.py
	@$(BIN)/python benchmarks/bench_peer.py --minutes $(or $(MINUTES),5)
	@echo "The others, each with --help:" && ls benchmarks/bench_*.py

lock: ## Pin again what pyproject.toml asks for (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove what runs leave behind
	rm -rf demo .stemline stems dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
