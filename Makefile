# make run    set up, then the main job on MNIST: runs/first/report.html
# make test   set up, then the tests
# make test-extras  set up optional packages, then the tests that need them
# make soak   set up, then faults injected for hours, in shards: docs/reliability.md; SHARDS="kills disk" picks some
# make site   set up MkDocs, then the site: site/index.html opens without a network
# make check  lint, format and types
# make setup  only set up; TORCH_INDEX=https://download.pytorch.org/whl/cpu takes PyTorch's CPU wheels from there
# make help   these lines

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
READY := $(VENV)/ready
EXTRAS_READY := $(VENV)/ready-extras
SITE_READY := $(VENV)/ready-site

# as many tests at once as there are cores, at most four, each on one thread
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

SHARDS ?=

.PHONY: run test test-extras soak check site setup help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pocketgan needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) --editable '.[dev,tensorboard,keras,lab]'
	@touch $@

run: setup
	$(BIN)/pocketgan run pocket --out runs/first

test: setup
	$(TESTS)

test-extras: $(EXTRAS_READY)
	$(TESTS) -m extras

$(EXTRAS_READY): $(READY)
	$(PIP) --editable '.[dev,tensorboard,keras,lab,mat,onnx,hub,parquet,tfrecord,loaders,browser,ray,docs,notebooks,release]'
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ apt-get update && apt-get install -y chromium; } || $(BIN)/playwright install chromium
	@touch $@

soak: setup
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m soak $(SHARDS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

site: $(SITE_READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

$(SITE_READY): $(READY)
	$(PIP) --editable '.[docs]'
	@touch $@
