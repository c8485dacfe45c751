# make demo | test | full | ui | docs | bench | clean; lock | licences | bom | audit. Everything is installed into .venv, at the versions of
# constraints.txt; what runs in production, with the hashes of requirements.lock.

PYTHON ?= python3
EXTRAS ?= demo,dev,docs
CUSTOMERS ?= 100000
BIN := .venv/bin
INSTALLED := .venv/installed
unexport PYTHONDONTWRITEBYTECODE  # with it, every process would compile every module that it imports, 5 of 8 seconds of a start
TOOLS := .tools/bin
VULNERABILITIES := https://api.osv.dev
PARALLEL := --numprocesses 3 --dist loadgroup --no-loadscope-reorder  # a third, because some tests wait; with a fourth, sensors missed their time; the order is that of conftest.py

.PHONY: demo ui bench test full docs lint types unit oldest lock licences bom audit install clean

demo: $(INSTALLED)  ## every snapshot of the demo data, then the segments
	$(BIN)/segmentation run --all

ui: $(INSTALLED)  ## Dagster's page and daemon on 127.0.0.1:3000
	$(BIN)/segmentation ui

bench: $(INSTALLED)  ## whole snapshots at CUSTOMERS customers, beside what one would do without this package
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[benchmarks]'
	$(BIN)/python -m benchmarks.whole --customers $(CUSTOMERS)

test: lint types docs unit  ## what CI runs

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)  ## the pages as a site, build/docs/docs/index.html; a broken link, anchor or picture is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs . build/docs

unit: $(INSTALLED)
	$(BIN)/pytest $(PARALLEL)

full: $(INSTALLED) .spark  ## what is too slow for every change; Spark needs Java 17 or 21
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[notebook]'
	$(BIN)/pytest $(PARALLEL) -m full
	HYPOTHESIS_PROFILE=random $(BIN)/pytest $(PARALLEL) -m hypothesis

.spark:  # Spark itself, beside the client of the same release
	$(BIN)/python -m pip install --quiet --no-deps --target .spark "pyspark==$$(sed -n 's/^pyspark-client==//p' constraints.txt)"

oldest:  ## the sources' tests on the oldest versions that pyproject.toml allows; not part of CI, for whoever changes a bound
	$(PYTHON) -m venv .oldest
	.oldest/bin/python -m pip install --quiet $$(sed -n '/^dependencies/,/^]/p' pyproject.toml | sed -nE 's/^ *"([A-Za-z0-9_-]+)(\[[a-z]+\])?[>=]=([0-9.]+).*/\1\2==\3/p') \
		'psycopg[binary]==3.2.1' mysqlclient==2.2 pytest hypothesis openpyxl
	.oldest/bin/python -m pytest segmentation_assets_tests/sources

.tools:  # kept out of .venv, because they bring dependencies of their own
	$(PYTHON) -m venv .tools
	$(TOOLS)/python -m pip install --quiet --disable-pip-version-check "uv==$$(sed -n 's/^uv==//p' constraints.txt)" pip-licenses==5.5.5 cyclonedx-bom==7.5.0 pip-audit==2.10.1

lock: .tools  ## requirements.lock: after a change of dependencies or of constraints.txt
	(sed '/^[^#]/,$$d' requirements.lock; $(TOOLS)/uv pip compile pyproject.toml --extra production --extra postgres --constraint constraints.txt \
		--generate-hashes --universal --python-version 3.11 --no-annotate --no-header --quiet) > .tools/requirements.lock
	mv .tools/requirements.lock requirements.lock

licences: $(INSTALLED) .tools  ## docs/licences.md: of what runs in production
	(sed '/^|/,$$d' docs/licences.md; $(TOOLS)/pip-licenses --python=$(BIN)/python --format=markdown --order=name \
		--packages $$(sed -nE 's/^([A-Za-z0-9_.-]+)==.*/\1/p' requirements.lock)) > .tools/licences.md
	mv .tools/licences.md docs/licences.md

bom: .tools  ## dist/bom.json, the bill of materials in CycloneDX, of what runs in production
	mkdir -p dist
	$(TOOLS)/cyclonedx-py requirements requirements.lock --output-format JSON --output-file dist/bom.json

audit:  ## known vulnerabilities of what runs in production, where their database can be reached
	@if curl --silent --max-time 5 --output /dev/null $(VULNERABILITIES); then \
		$(MAKE) --no-print-directory .tools && $(TOOLS)/pip-audit --vulnerability-service osv --disable-pip --require-hashes --requirement requirements.lock; \
	else \
		echo 'WARNING: dependencies were NOT audited, because curl cannot reach the database of vulnerabilities, $(VULNERABILITIES)' >&2; \
	fi

install: $(INSTALLED)

# By uv, which took 12 s where pip took 68; by pip where uv reaches no index, because uv does not read pip's settings. Neither compiles the
# 12,000 modules, which takes half a minute: Python compiles those that it imports when it first does.
INSTALL_UV = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv && $(BIN)/uv pip install --quiet --python $(BIN)/python
INSTALL_PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

$(INSTALLED): pyproject.toml constraints.txt requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Say which: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(INSTALL_UV) --no-deps --require-hashes -r requirements.lock || $(INSTALL_PIP) --no-deps --require-hashes -r requirements.lock
	$(INSTALL_UV) -c constraints.txt -e '.[$(EXTRAS)]' || $(INSTALL_PIP) -c constraints.txt -e '.[$(EXTRAS)]'
	echo "DAGSTER_HOME=$$($(BIN)/segmentation instance)" > .env  # so that a plain `dagster dev` finds the same instance
	touch $(INSTALLED)

clean:  ## remove everything that runs have written; raw inputs and the virtual environment stay
	rm -rf data/lake data/models data/intake data/publishing data/reports data/dagster data/shared data/segmentation.duckdb data/segmentation.duckdb.wal data/pseudonyms.txt data/.pseudonyms.txt
