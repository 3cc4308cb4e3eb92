# Everything a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= 2

# modules are compiled when they are first imported, not all that are installed; and that is kept,
# whatever the shell says: each worker and child would compile all of torch that it imports again
unexport PYTHONDONTWRITEBYTECODE
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

.PHONY: demo test lint pytest docs bench clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "neurosim needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

# kernels that all simulations share are compiled while the rest is installed
$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/neurosim cache fill & $(PIP) -e ".[dev]" && wait
	touch $@

demo: $(VENV)/.installed
	$(BIN)/python examples/larva_brain.py --out out/larva_brain

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory -j 2 lint pytest

pytest: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate_model_pages.py

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf build dist *.egg-info out
