# Every target makes and refreshes .venv by itself; `make` alone prints this list.
PROFILE    ?= quick
SEED       ?= 0
SRGAN_DATA ?= data
DEVICE     ?= auto
RESULTS    ?= results
# what tables, figures and the report are made from: one's own scores, else the committed ones
SCORES      = $(if $(wildcard $(RESULTS)/metrics.csv),$(RESULTS),results/published)
CHECK      := results/check
# what `make published` does not make again: seven minutes of a core each (Set5 is in the tests)
NOT_MADE   := $(foreach set,Set5 Set14 BSD100,$(set)/SelfExSR $(set)/SelfExSR-repaired)
PYTHON     ?= python3
export SRGAN_DATA

VENV  := .venv
STAMP := $(VENV)/.installed
PY    := $(VENV)/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup data reproduce published tables figures report mos test test-all lint bench clean crate-validator

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PROFILE=quick|cpu|paper  SRGAN_DATA=folder  DEVICE=auto|cpu|cuda  SEED=0"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	  { echo "$(PYTHON) is not Python 3.11 to 3.14; call make with PYTHON=python3.12, for example"; exit 2; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[test,dev,export]'
	@touch $@

setup: $(STAMP) ## make or refresh .venv with the tested versions

data: $(STAMP) ## fetch the benchmarks and training images into SRGAN_DATA, then verify them
	$(PY) -m repro data fetch
	$(PY) -m repro data verify

reproduce: $(STAMP) ## train the five variants, upscale, score, print Tables 1 and 2
	$(PY) -m repro reproduce --profile $(PROFILE) --seed $(SEED) --device $(DEVICE) --results $(RESULTS)
	$(PY) -m analysis tables --results $(RESULTS)

published: $(STAMP) ## score the committed weights again in results/check, compare with results/published
	rm -rf $(CHECK)/weights $(CHECK)/runs
	mkdir -p $(CHECK)
	cp -R results/published/weights results/published/runs results/published/trials.csv $(CHECK)
	$(PY) -m repro publish --scores-only --device $(DEVICE) --to $(CHECK)
	$(PY) -m repro.evaluation.compare results/published/metrics.csv $(CHECK)/metrics.csv $(NOT_MADE)
	cp results/published/metrics.csv results/published/metrics.manifest.json \
	  $(wildcard results/published/references.csv) $(CHECK)
	$(PY) -m analysis tables --results results/published --out $(CHECK)
	diff -r -x manifest.json results/published/tables $(CHECK)/tables
	$(PY) -m analysis figures --results $(CHECK)
	for figure in results/published/figures/*.p[dn][fg]; do cmp $$figure $(CHECK)/figures/$${figure##*/} || exit 1; done
	@echo "scores, images, tables and figures came out as they were published"

tables: $(STAMP) ## Tables 1 and 2 and the significance tests from results/metrics.csv and the ratings
	$(PY) -m analysis tables --results $(SCORES) --out $(RESULTS)

figures: $(STAMP) ## the paper's figures, PNG and PDF
	$(PY) -m analysis figures --results $(SCORES) --out $(RESULTS)

report: $(STAMP) ## one self-contained HTML page with everything
	$(PY) -m analysis report --results $(SCORES) --out $(RESULTS)

mos: $(STAMP) ## open the rating study (the demo study when there is no other)
	$(PY) -m mos_app serve --results $(RESULTS)

test: $(STAMP) ## the default tests (under 12 minutes on two cores)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadgroup

test-all: $(STAMP) ## every test, the long ones too
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadgroup -m ""

lint: $(STAMP) ## ruff (lint and format) and mypy
	$(VENV)/bin/ruff check repro mos_app analysis tests
	$(VENV)/bin/ruff format --check repro mos_app analysis tests
	$(VENV)/bin/mypy

# RO-Crate's validator wants an older rich: an environment of its own, with the context that it looks up offline
crate-validator:
	test -x .crate/bin/python || $(PYTHON) -m venv .crate
	.crate/bin/pip install -qq roc-validator==0.13.0
	.crate/bin/pip install -qq --no-deps rocrate==0.13.0
	.crate/bin/python .ci/crate_context.py .crate/cache

bench: $(STAMP) ## benchmarks against plain baselines, into results/bench
	$(PY) -m repro bench all --results $(RESULTS)

clean: ## remove .venv and caches (never data, results or studies)
	rm -rf $(VENV) .crate .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
