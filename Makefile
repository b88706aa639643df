# The README's commands. Everything is installed into .venv at the versions of requirements.lock.
PYTHON ?= python3.11
# cpu: the build without CUDA packages. cuda: the build that fits this machine's driver.
TORCH ?= cpu
BIN := .venv/bin
STAMP := .venv/installed-$(TORCH)

.PHONY: help install demo table2 test faults bench check lock clean
help:
	@echo "make demo   install, then run the embedded job: tables, figures and runs/demo/report/index.html"
	@echo "make table2 install with recognisers that others trained, then every placement search on a small budget"
	@echo "make test   install, then run all tests"
	@echo "make faults install, then the fault tests with 200 crash points"
	@echo "make bench  install, then what batching gains, what the driver costs, and where preparing a corpus spends its time"
	@echo "make check  install, then linters and types"

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/austicker-grid submit jobs/demo.toml

table2: $(STAMP)
	sh tools/install-recognisers
	$(BIN)/austicker-grid submit jobs/table2.toml

test: $(STAMP)
	sh tools/install-prometheus
	sh tools/install-recognisers
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Two hundred crash points instead of the fifty of `make test`; AUSTICKER_CRASH_SEED draws others.
faults: $(STAMP)
	AUSTICKER_CRASH_POINTS=200 $(BIN)/python -m pytest tests/test_faults.py

bench: $(STAMP)
	$(BIN)/python tests/benchmark_grid.py
	$(BIN)/python tests/benchmark_scale.py
	$(BIN)/python tests/benchmark_discovery.py
	$(BIN)/python tests/benchmark_searches.py
	$(BIN)/python tests/benchmark_filters.py
	$(BIN)/python tests/benchmark_prepare.py

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit -q -r austicker tools jobs
	$(BIN)/python tools/audit.py

$(STAMP): requirements.lock pyproject.toml tools/install-torch
	$(PYTHON) -m venv .venv
	sh tools/install-torch $(TORCH)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	$(BIN)/python -m pip check
	rm -f .venv/installed-* && touch $@

# Writes requirements.lock anew from the newest versions that pyproject.toml allows.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager -e ".[dev]"
	$(BIN)/python -m pip freeze --exclude-editable | grep -v "^torch==" > requirements.lock

clean:
	rm -rf .venv runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
