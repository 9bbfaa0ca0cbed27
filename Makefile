# Everything a user or CI calls. `make setup` needs root; it does nothing when nothing has changed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TOPOLOGY ?= enterprise-hq
OUT ?= runs/$(TOPOLOGY)-$(shell date +%Y%m%d-%H%M%S)
# Processes for the tests that need no lab: one more than processors, as some wait for timers of SIP. And labs side by
# side in those that do (tests/integration/conftest.py).
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))
LABS ?= 2
RUN := .venv/bin

.PHONY: help setup demo browser test check-code lint fmt unit integration drills bench vagrant-check debian-check clean clean-images

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

setup: ## host packages, Python environment, device and container images
	@ci/setup.sh

demo: setup ## the reference topology: up, calls, verdict, report, down
	$(RUN)/uclab run $(TOPOLOGY) --out $(OUT)

browser: ## the browser of the tests of reports
	@uclab/setup/packages.sh ci/tests-packages.txt || echo "no browser on this machine: the tests of pictures will be skipped" >&2

test: setup browser ## lint, types, import directions, then every test
	@$(MAKE) lint unit integration

lint: ## ruff, mypy, import directions
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports --no-logo

fmt: ## format, and fix what can be fixed
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

unit: ## tests that need no lab
	$(RUN)/pytest -q -n $(WORKERS) tests/unit tests/golden tests/errors

integration: ## tests that bring labs up, as root
	$(RUN)/pytest -q -n $(LABS) --dist loadfile --no-loadscope-reorder tests/integration

drills: setup ## every fault that a verdict must catch
	UCLAB_ALL_FAULTS=1 $(RUN)/pytest -q -n $(LABS) --dist loadfile --no-loadscope-reorder \
	    $(addprefix tests/integration/test_,faults.py campaign.py \
	    capacity_measured.py two_machines.py satellite.py dual_wan.py incidents.py lossy_lines.py self_check.py)

bench: setup ## speed, as ratios within one run
	@for file in benchmarks/bench_*.py; do \
	    echo "== $$file"; $(RUN)/python -m "benchmarks.$$(basename "$$file" .py)"; \
	done

vagrant-check: ## a box from Debian packages, `vagrant up`, and a reference run inside
	@ci/vagrant-check.sh

debian-check: ## set-up, the tests without a lab and one lab, in a bare root of Debian 13
	@ci/debian-check.sh

clean: ## what was made in this folder
	rm -rf .venv .cache out runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

clean-images: ## the images outside it
	@ci/clean-images.sh
