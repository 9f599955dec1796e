# Every target sets up what it needs, on a machine with Python 3.11+, pip and make.
PYTHON ?= python3
RUN := .venv/bin
OUT ?= output

.PHONY: demo test lint bench docs web clean

demo: .venv/.run  ## real photos in; overlays, JSON, cut-outs and posters out
	$(RUN)/mien analyze samples -o $(OUT)/analyze --overwrite
	$(RUN)/mien filter samples -o $(OUT)/cutouts --background transparent --overwrite
	$(RUN)/mien filter samples -o $(OUT)/posters --overwrite
	@echo "Look at $(OUT)/analyze, $(OUT)/cutouts and $(OUT)/posters"

test: .venv/.dev  ## all tests
	$(RUN)/python -m pytest -n 2

lint: .venv/.dev  ## style and types
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

bench: .venv/.dev  ## speed beside the bare models and the peers
	$(RUN)/python -m benchmarks.speed
	$(RUN)/python -m benchmarks.backgrounds
	$(RUN)/python -m benchmarks.accuracy
	$(RUN)/python -m benchmarks.robustness
	$(RUN)/python -m benchmarks.int8

docs: .venv/.dev  ## pictures, model pages and reference from the code and the cards
	$(RUN)/python -m docs.build

web: web/node_modules  ## the page of the service, from web/ into mien/serve/static (needs node 20.19 or newer)
	cd web && npm run build

web/node_modules: web/package-lock.json
	cd web && npm ci
	touch $@

.venv/.run: pyproject.toml
	test -x $(RUN)/python || $(PYTHON) -m venv .venv
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/.dev: pyproject.toml
	test -x $(RUN)/python || $(PYTHON) -m venv .venv
	$(RUN)/python -m pip install --quiet --disable-pip-version-check "torch>=2.13,<2.14"
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e ".[train,dev]"
	touch $@ .venv/.run

clean:
	rm -rf .venv $(OUT)
