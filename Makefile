PYTHON ?= python3
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint coverage bench plugins wheel fresh-clone clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: ## set everything up and start the hub (needs ADMIN_PASSWORD; ARGS="-p 8080" adds flags)
	@$(PYTHON) -m tools.bootstrap run
	@exec $(BIN)/toru serve $(ARGS)

test: lint ## set everything up, check the code, run every test (ARGS="-k name", WORKERS=0)
	@CHROMIUM="$$(cat .venv/chromium-path)" exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: ## run the linters and type checkers alone
	@$(PYTHON) -m tools.bootstrap test
	@$(BIN)/python -m tools.check

coverage: ## run the tests and show which branches none of them took
	@$(PYTHON) -m tools.bootstrap test
	@CHROMIUM="$$(cat .venv/chromium-path)" $(BIN)/python -m coverage run -m pytest $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --skip-covered --show-missing

bench: ## measure the budgets, side by side with bare programs
	@$(PYTHON) -m tools.bootstrap test
	@set -e; for name in actors dashboard db_writer monitor output runs start plugins streams; do echo "== $$name"; $(BIN)/python -m bench.$$name; done

plugins: ## build the plugins whose sources lie in plugins/, those in Rust too
	@$(PYTHON) -m tools.bootstrap run
	@$(BIN)/python -m tools.plugins

screenshots: ## take the pictures in docs/screenshots anew, from real runs
	@$(PYTHON) -m tools.bootstrap test
	@CHROMIUM="$$(cat .venv/chromium-path)" $(BIN)/python -m tools.screenshots

wheel: ## build dist/toru-*.whl, the dashboard inside
	@$(PYTHON) -m tools.bootstrap run
	@$(BIN)/python -m tools.wheel dist

fresh-clone: ## prove that a clone with nothing installed starts and serves
	@$(PYTHON) -m tools.check_fresh_clone $(ARGS)

clean: ## remove all that the set-up and the tests made; the data in var/ stays
	rm -rf .venv build dist *.egg-info static/node_modules static/vendor static/.vendor.new
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
