# GNU make 3.81 or newer; works from any folder with `make -C <checkout>`. What each line does is in scripts/.
.PHONY: help install run test check check-format check-lint check-types check-imports check-templates check-house audit torture bench lock clean
.DEFAULT_GOAL := help
PY := .venv/bin/python
BIN := .venv/bin

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1	\2/p' Makefile

install: ## .venv with all dependencies
	@sh scripts/install.sh

run: install ## serve on http://127.0.0.1:8000 (other settings: README.md)
	@exec $(BIN)/portal serve $(ARGS)

test: install ## all tests; a part with T=tests/unit
	@sh scripts/test.sh $(T)

check: install check-format check-lint check-types check-imports check-templates check-house ## format, lint, types, import fences, templates, house rules: seconds, no database, no network

check-format check-lint check-types check-imports check-templates check-house: install

check-format:
	@$(BIN)/ruff format --check --quiet . || { echo "cure it with: $(BIN)/ruff format ."; exit 1; }

check-lint:
	@$(BIN)/ruff check --quiet .

check-types:
	@$(BIN)/basedpyright

check-imports:
	@said=$$($(BIN)/lint-imports) || { echo "$$said"; exit 1; }

check-templates:
	@$(BIN)/djlint --lint --quiet templates

check-house:
	@$(PY) -m pytest -q tests/test_house.py

audit: install ## known vulnerabilities of the locked packages, hashes of the vendored files
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements-dev.lock
	@$(PY) -m pytest -q tests/unit/test_vendor.py

torture: install ## the experiments on what must never be lost in their long form, an hour or so, and a table of what held
	@$(PY) -m pytest -m drill --long --timeout 7200 tests/drills tests/jobs $(ARGS)

bench: install ## the README's table of figures, measured here
	@$(PY) -m bench $(ARGS)

lock: ## resolve the newest allowed versions into the lock files (needs uv)
	@uv pip compile --quiet --upgrade --universal --generate-hashes --no-header -o requirements.lock pyproject.toml
	@uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove what can be made again; never data/
	@rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .import_linter_cache test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
