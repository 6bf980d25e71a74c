# make demo          install into .venv and label examples/ with the built-in model
# make test          everything that has to pass before a change lands
# make test-lowest   the same tests with the oldest libraries that pyproject.toml allows
# make docs          write anew what is generated in docs/ and README.md: the command reference, the pictures of terminals
#                    and of maps, and what the commands that are shown print
PYTHON ?= python3.11
BIN := .venv/bin
PEERS := .venv-peers/bin
LOWEST := .venv-lowest/bin
DATA ?= data/cifar10

.PHONY: demo docs test test-full test-peers test-lowest test-cluster test-browser test-gpu bench gpu lint fix tiny clean

demo: .venv/installed
	$(BIN)/vithybrid classify examples/*.jpg examples/*.png -m tiny -k 3 --format table
	@echo
	@echo "tiny knows ten labels, and these pictures show none of them. Each still gets the label that fits best:"
	$(BIN)/vithybrid classify examples/unknown -m tiny -k 3 --format table

docs: .venv/developer
	$(BIN)/python scripts/reference.py docs/commands.md
	$(BIN)/python scripts/terminal.py docs
	$(BIN)/python scripts/sheet.py docs
	$(BIN)/python scripts/outputs.py

# On all cores, and a file of tests by one process, since what it sets up is shared within it. The order is that of
# tests/conftest.py, with the longest files first, and not that of how many tests a file has.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

test: .venv/developer lint
	$(BIN)/python -m pytest $(PARALLEL)

# The full-size network, and small ones of each family, against transformers 4.57.6 and timm, in an environment of
# their own.
test-peers: .venv/developer .venv-peers/installed
	$(BIN)/python -m pytest -m peers --peers=$(PEERS)/python

# The tests with the oldest libraries that pyproject.toml allows, in an environment of their own. On Linux that torch
# comes with CUDA: 3 GB to fetch, 6 GB of disk.
test-lowest: .venv-lowest/installed
	$(LOWEST)/python -m pytest $(PARALLEL)

# Every published network in its full size with random weights: 1.3 GB of disk and of memory at a time; and all cases of
# what `make test` tests by some of them.
test-full: .venv/developer
	$(BIN)/python -m pytest -m "full_size or thorough"

# Jobs of 20,000 pictures, on three Ray nodes and by processes alone, while workers, nodes and runs are killed. On two
# cores that takes about 10 minutes.
test-cluster: .venv/developer
	$(BIN)/python -m pytest -m cluster

# The pages in a real browser, which has to be there: Chromium, as Debian's package `chromium` has it.
test-browser: .venv/browser
	$(BIN)/python -m pytest -m browser

# What only an NVIDIA GPU can show; without one, each test is skipped and says so.
test-gpu: .venv/developer
	$(BIN)/python -m pytest -m gpu -s

# How fast it is on this machine, beside other libraries: tiny in two minutes, then the network of base-384 with random
# weights. On two cores that takes about 20 minutes, and 35 with transformers and timm, which take part if the
# environment of `make test-peers` is there.
comma := ,
AGAINST := pillow$(comma)openvino$(if $(wildcard .venv-peers/installed),$(comma)transformers$(comma)timm)
PEERS_IF_THERE := $(if $(wildcard .venv-peers/installed),--peers $(PEERS)/python)
bench: .venv/developer
	$(BIN)/python -m benchmarks.compare -m tiny --against pillow$(comma)openvino
	$(BIN)/python -m benchmarks.compare -m base-384 --random-weights --engine torch --engine openvino \
		--dtype float32 --dtype bfloat16 --against $(AGAINST) $(PEERS_IF_THERE)

# The tests and rates of an NVIDIA GPU as a text for BENCHMARKS.md, in less than eight minutes. With PYTHON given, as in
# `make gpu PYTHON=python3`, that Python runs it from this source tree, and nothing is installed.
GPU_PYTHON := $(if $(filter command environment,$(origin PYTHON)),$(PYTHON))
gpu: $(if $(GPU_PYTHON),,.venv/developer)
	$(or $(GPU_PYTHON),$(BIN)/python) -m benchmarks.gpu $(GPU)

lint: .venv/developer
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

fix: .venv/developer
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Trains the built-in model again from CIFAR-10 as pictures: $(DATA)/train/<label>/*.jpg and $(DATA)/test/<label>/*.jpg.
# Of the training pictures 1,000 are held out, to choose the epoch and fit the scores. It takes hours; what was broken
# off goes on when it is run again.
tiny: .venv/installed
	$(BIN)/vithybrid train $(DATA)/train -o runs/tiny --config tiny --epochs 45 --val-split 0.02 \
		--held-out $(DATA)/test --weights-dtype float16 --resume

clean:
	rm -rf .venv .venv-lowest .venv-peers build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

# The group dev of pyproject.toml; `pip install --group` came with pip 25.1, and Python 3.11 brings an older one.
DEVELOPER = $$($(PYTHON) -c 'import tomllib; \
	print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"])')

# All but `gcs`, which no test could use without an account.
EXTRAS := .[heif,openvino,parquet,raw,ray,remote,zstd]

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/developer: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '$(EXTRAS)' $(DEVELOPER)
	touch $@

.venv/browser: .venv/developer
	$(BIN)/pip install --quiet --constraint constraints.txt axe-playwright-python playwright
	touch $@

.venv-lowest/installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	$(LOWEST)/pip install --quiet --constraint constraints-lowest.txt --editable '$(EXTRAS)' $(DEVELOPER)
	touch $@

.venv-peers/installed:
	$(PYTHON) -m venv .venv-peers
	$(PEERS)/pip install --quiet torch==2.13.0 transformers==4.57.6 pillow==12.3.0
	$(PEERS)/pip install --quiet --no-deps timm==1.0.31
	touch $@
