# `make demo` and `make test` set themselves up on a machine with Python 3.11 to 3.13.
SHELL := /bin/sh
VENV := .venv
RUN := $(VENV)/bin/python
DOCS := .venv-docs
# Two processes: tracing a graph keeps one core busy. `make test` keeps the tests of a
# file in one process, as they share trained models; the slow tests share little.
PYTEST := $(RUN) -m pytest -q -n 2 --durations 15
# The first supported Python that starts: version managers leave names that do not.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && echo $$p && break; done)

.PHONY: help demo test test-slow soak fuzz lint format docs release-check bench \
	bench-layer bench-stand-alone bench-models bench-data bench-serving \
	bench-distribution notebooks tables reproduce-small publish clean

help: ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.demo ## train, evaluate, export and draw: a few minutes on two cores
	$(RUN) experiments/quickstart/demo.py

test: $(VENV)/.dev ## all tests except the slow ones
	$(PYTEST) --dist loadfile -m "not slow"

test-slow: $(VENV)/.dev ## the slow tests
	$(PYTEST) --dist worksteal -m slow

soak: $(VENV)/.dev ## memory over 30,000 requests and predictions, 200 models: 15 minutes
	$(RUN) -m tests.faults.soak

fuzz: $(VENV)/.dev ## 10,000 mutated experiment files and requests: 10 minutes
	$(RUN) -m tests.faults.fuzz

lint: $(VENV)/.dev ## check style, format and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.dev ## fix style and format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(DOCS)/.installed ## build the site into site/; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

# What is published, tried where nothing else is installed.
release-check: $(DOCS)/.installed ## build the package, install it anew, run the quickstart
	rm -rf dist runs/release
	$(DOCS)/bin/python -m build
	$(DOCS)/bin/twine check --strict dist/*
	$(PYTHON) -m venv runs/release
	runs/release/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint requirements.txt "$$(ls $(CURDIR)/dist/*.whl)[train,viz]"
	$(DOCS)/bin/python -m tests.pages runs/release/bin/python docs/index.md
	@! grep 'example\.org' pyproject.toml || \
		echo "before publishing: set the project's address in pyproject.toml"

bench: bench-layer bench-stand-alone bench-models bench-data bench-serving bench-distribution ## run all benchmarks

bench-layer bench-stand-alone bench-models bench-data bench-serving \
bench-distribution: bench-%: $(VENV)/.dev
	$(RUN) benchmarks/$(subst -,_,$*).py

# With one thread, on the same kind of processor, the run equals the one in results/.
notebooks: $(VENV)/.dev ## make every committed picture: one run, results/, the notebooks
	$(RUN) -m aa_keras sweep quickstart/digits_aa_resnet --threads 1 --workdir runs/notebooks
	$(RUN) notebooks/execute.py
	$(RUN) benchmarks/layer.py --draw
	$(RUN) -m aa_keras report

tables: $(VENV)/.demo ## print every row of the paper's tables: claimed, built, measured
	$(RUN) -m aa_keras tables

# The seeds of results/small/PROTOCOL.md. A second call resumes; `git diff results` then
# says what came out differently.
SMALL := experiments/small
SWEEP := $(RUN) -m aa_keras sweep --workdir runs/small --jobs 2 --threads 1 \
	--set data.download=true
reproduce-small: $(VENV)/.demo ## repeat the runs on CIFAR-100: many hours on two cores
	$(SWEEP) $(SMALL)/tune/*.yaml $(SMALL)/screen/*.yaml
	$(SWEEP) --seeds 3 $(SMALL)/screen/screen_plain.yaml
	$(SWEEP) --seeds 2 $(SMALL)/again/*.yaml
	$(SWEEP) --seeds 5 $(SMALL)/cifar100_resnet_8.yaml $(SMALL)/cifar100_aa_resnet_8.yaml
	$(SWEEP) --seeds 5 $(SMALL)/cifar100_resnet_14.yaml $(SMALL)/cifar100_aa_resnet_14.yaml
	$(SWEEP) --seeds 3 $(SMALL)/cifar100_aa_resnet_14_none.yaml
	$(RUN) -m aa_keras report runs/small/*/seed_*

publish: $(VENV)/.dev ## put trained weights into the package: make publish RUNS="runs/x/seed_*"
	$(RUN) tools/publish_weights.py $(RUNS)

clean: ## remove the environment and all runs
	rm -rf $(VENV) $(DOCS) runs site dist

# The stamps make a second call install nothing.
$(VENV)/.demo: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 found; make PYTHON=..." >&2; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(DOCS)/.installed: requirements-docs.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 found; make PYTHON=..." >&2; exit 1; }
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

$(VENV)/.dev: $(VENV)/.demo requirements-dev.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
