# Each of these does all of its own set-up; see scripts/setup.sh.

.PHONY: help demo test check docs format setup clean

BIN := .venv/bin

help:
	@echo "make demo    train SAC and SGQN on a real task, compare them, write one page (five minutes, and set-up)"
	@echo "make test    run the tests, and those of compiled losses on another PyTorch where this machine has one"
	@echo "make check   formatting, lint, types, direction of imports"
	@echo "make docs    build the documentation as a site in site/, without a network"
	@echo "make format  write the formatting"
	@echo "make setup   only prepare the virtual environment .venv"
	@echo "make clean   remove the virtual environment and what tools left behind; runs/ stays"

demo: setup
	$(BIN)/saccade demo

test:
	@bash scripts/setup.sh --browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto
	@bash scripts/test_other_torch.sh

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The package's own words about a future release of its own are no fault of ours.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html is the documentation; for its search: $(BIN)/python -m http.server -d site"

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup:
	@bash scripts/setup.sh

clean:
	rm -rf .venv .venv-other-torch .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis site
