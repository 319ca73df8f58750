# One word a target; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export PREFECT_SERVER_ANALYTICS_ENABLED ?= false
unexport PYTHONDONTWRITEBYTECODE # what is imported is compiled once, and only that

PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install
TORCH := torch==2.13.0
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
LOCK := $(COMPILE) pyproject.toml
TEST_TIME := about 6 minutes on two quiet cores

.PHONY: help setup demo up night deploy down test test-long chaos check format docs bench screenshots lock clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

setup: .venv/.run ## Create .venv with what running needs; the other targets add what they need

# Each list holds the one before it. A stamp is written last, so that a set-up that was cut off is finished by the next
# call: an installer writes INSTALLER when all of a package is there, and what lacks it is installed again. uv takes a
# quarter of pip's time; where it finds no way to the packages, such as a mirror that only pip is told of, pip does it.
.venv/.run: requirements.lock
.venv/.test: requirements-test.lock
.venv/.long: requirements-long.lock
.venv/.run .venv/.test .venv/.long: pyproject.toml
	@test -x $(BIN)/python && ls .venv/lib/python3*/site-packages/pip-*.dist-info/INSTALLER >/dev/null 2>&1 \
	  || $(PYTHON) -m venv --clear .venv
	@for info in .venv/lib/python3*/site-packages/*.dist-info; do test -e $$info/INSTALLER || rm -rf $$info; done
	@echo "Installing the wheels of $(filter %.lock,$^) into .venv (once; a minute at most) …"
	@awk '/^[^ ]/ {is_uv = /^uv==/} is_uv' $(filter %.lock,$^) > .venv/uv.lock
	@$(PIP) --only-binary :all: --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --only-binary :all: --require-hashes -r $(filter %.lock,$^) \
	  || $(PIP) --no-compile --no-deps --only-binary :all: --require-hashes -r $(filter %.lock,$^)
	@$(if $(filter %.long,$@),$(PIP) --no-warn-conflicts $(TORCH) || echo "Without $(TORCH): the tests that need it are skipped.")
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch .venv/.run $(if $(filter %.test %.long,$@),.venv/.test) $@

demo: .venv/.run ## The main job on a made catalogue: no key, no network
	@$(BIN)/stemline demo

up: .venv/.run ## Prefect here: server, worker, deployments; again, only what is missing: make up PORT=4300
	@$(BIN)/python -m orchestration up $(if $(PORT),--port $(PORT))

night: .venv/.run ## A scheduled run of that server on a made catalogue, until its end: no key, no network
	@$(BIN)/python -m orchestration night

deploy: .venv/.run ## Pool, secrets, deployments and automations on the server that PREFECT_API_URL names
	@$(BIN)/python -m orchestration deploy

down: ## End what `make up` started and remove its files; KEEP=1 keeps its database and logs
	@if test -x $(BIN)/python; then $(BIN)/python -m orchestration down $(if $(KEEP),--keep); fi

test: .venv/.test ## Run the tests, with the same examples each time
	@echo "The tests take $(TEST_TIME). Many wait for other processes; Ctrl-C ends them."
	@$(BIN)/pytest -n auto --dist loadgroup

test-long: .venv/.long ## Run the long tests, and those with random examples once more with fresh ones
	@$(BIN)/pytest -n auto --dist loadgroup -m "long or random" --timeout 1800 --seed $(or $(SEED),fresh)

chaos: .venv/.test ## Kill and disturb real runs at random: make chaos N=200 SEED=1
	@$(BIN)/python benchmarks/chaos.py $(or $(N),200) $(or $(SEED),1)

check: .venv/.test ## Format, lint, types and import contracts
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 8

format: .venv/.test ## Rewrite the code in the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: .venv/.run ## Write into docs/ what the code says of itself: keys, states, codes
	@$(BIN)/python docs/reference.py

bench: .venv/.test ## The request scheduler: by simulation, then against the vendor's own package: make bench MINUTES=5
	@$(BIN)/python benchmarks/bench_scheduler.py
	@$(BIN)/python benchmarks/bench_peer.py --minutes $(or $(MINUTES),5)
	@echo "The others, each with --help:" && ls benchmarks/bench_*.py

screenshots: .venv/.test ## Take the pictures of docs/images anew, from a demo's page; needs Chromium
	@$(BIN)/python docs/screenshots.py

# Which build of torch fits depends on the machine, and some bring gigabytes: it is in no list.
lock: .venv/.run ## Pin again what pyproject.toml asks for
	@printf '%s\n' "torch; sys_platform == 'none'" "torchvision; sys_platform == 'none'" > .venv/unlisted.txt
	$(LOCK) --override .venv/unlisted.txt --no-emit-package torch --no-emit-package torchvision --group build --group test --group check --group long --output-file requirements-long.lock
	$(LOCK) --group build --group test --group check --constraint requirements-long.lock --output-file requirements-test.lock
	$(LOCK) --group build --constraint requirements-test.lock --output-file requirements.lock
	$(COMPILE) tests/release/readers.in --output-file tests/release/readers.lock

clean: down ## Remove what runs leave behind
	rm -rf demo .stemline stems dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
