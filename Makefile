# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# by module, in as many processes as there are cores, up to four, none of which compiles anew what another has
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
# kernels first, the whole run last
BENCHMARKS := kernels normalise signals language minhash tokenise read peers end_to_end

.PHONY: demo test test-all test-formats test-faults soak test-breaks check docs format digests bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs,encoder]'
	touch $@

## Main job on real text of this machine: all stages, ends with shards, a story and a decoded row.
demo: $(READY)
	$(BIN)/python -m jobs.demo

## Fast tests (under 5 minutes on 2 cores).
test: $(READY)
	$(PYTEST) -m "not slow and not longest"

## Everything: end-to-end, multi-process and fault tests too.
test-all: $(READY)
	$(PYTEST) -m "not longest"

test-slow: $(READY)
	$(PYTEST) -m "slow and not formats and not longest"

## Shards read by the libraries they are for, each in an environment of its own under .venv-formats (one minute to make).
test-formats: $(READY)
	-$(BIN)/python -m tests.formats.environments
	$(BIN)/python -m pytest -m formats

## All faults: every stage, every way to die, every call of storage, 10,000 schedules of a simulator, uploads to a cluster.
test-faults: $(READY)
	$(PYTEST) tests/faults tests/cluster

## 100 processes of runs over real text are killed at random moments: always the same bytes.
soak: $(READY)
	$(BIN)/python -m tests.faults.soak --kills 80 --executor processes
	$(BIN)/python -m tests.faults.soak --kills 20 --executor ray

## The code is broken in over a hundred places, one at a time and in a copy: a fast test must notice each.
test-breaks: $(READY)
	$(BIN)/python -m tests.breaks

## Lint, format, types, the layers of the house, and the documentation with all its links.
check: $(READY) docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## The documentation as a site, in build/site; a broken link or a page that nothing leads to is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## What each stage computes with, as digests: after a change of sources that tests/stages/test_digests.py names.
digests: $(READY)
	$(BIN)/python -m tests.stages.digests --write

## Speed tables of the kernels and of a whole run.
bench: $(READY)
	for table in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$table || exit 1; done

clean:
	rm -rf demo-run demo-text .pytest_cache .mypy_cache .ruff_cache .hypothesis
