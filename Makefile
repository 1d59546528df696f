# make study   train the study `decay` with three seeds, write its report (all it needs goes into .venv)
# make test    lint, types, import contracts, doctests and the test suite
# make slow    sweeps killed at sixty random moments (KILLS=60) and started again; clusters that die; many examples (EXAMPLES=few)
# make recipes the recipes of docs/how-to/trackers.md for Lightning and W&B (brings both: 100 MB)
# make results published results made again, as a table (DOSE=--quick: three minutes)
# make figures the page of all figures (docs/gallery.md), from the studies that are in outputs
# make docs    the documentation as pages, docs/_build/html/index.html (every block of code is run)
# make links   do the links of the documentation to other sites still lead somewhere?
# make bench   updates and a whole sweep beside torch, NumPy, JAX and the usual way: docs/background/benchmarks.md, a quarter of an hour
# make corpus  the files as they are against a commit (BASE=HEAD~1): the same results to the last bit?
PYTHON ?= python3
KILLS ?= 60
EXAMPLES ?= full
DOSE ?=
BASE ?= HEAD
INSTALL = .venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One thread a process: two spinning threads on a busy machine are many times slower than one.
export OMP_NUM_THREADS = 1

.PHONY: study test lint types contracts suite slow recipes results figures docs links bench corpus clean

study: .venv/installed
	.venv/bin/rnn-exp study=decay 'seed=range(3)'
	@echo "The report:"
	@.venv/bin/rnn-exp-report outputs/decay

# Types take most of a minute where mypy has kept nothing: beside the suite, which often waits.
test: lint contracts
	@$(MAKE) --no-print-directory --jobs=2 types suite

suite: .venv/installed-for-tests
	.venv/bin/pytest -n 2 --dist worksteal -q -m "not slow"

lint: .venv/installed-for-tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/installed-for-tests
	.venv/bin/mypy

contracts: .venv/installed-for-tests
	.venv/bin/lint-imports --no-logo

slow: .venv/installed-for-tests
	RNN_EXP_DOSE=$(EXAMPLES) RNN_EXP_KILLS=$(KILLS) .venv/bin/pytest -n 2 --dist worksteal -q -m "slow or kills or dosed"

recipes: .venv/installed-for-tests
	$(INSTALL) lightning wandb
	.venv/bin/pytest -n 0 -q tests/test_docs.py -k tracker

results: .venv/installed
	.venv/bin/python scripts/reproduce.py $(DOSE)

figures: .venv/installed
	.venv/bin/python scripts/contact_sheet.py outputs

docs: .venv/installed-for-docs
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sphinx-build -W --keep-going -n -q -j 2 docs docs/_build/html
	@echo "The documentation: docs/_build/html/index.html"

links: .venv/installed-for-docs
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sphinx-build -W -q -b linkcheck docs docs/_build/links

bench: .venv/installed
	$(INSTALL) --editable '.[bench,dask]'
	.venv/bin/python scripts/benchmark_page.py docs/background/benchmarks.md

corpus: .venv/installed-for-tests
	.venv/bin/python scripts/corpus.py $(BASE)

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/pip pyproject.toml constraints.txt
	$(INSTALL) --editable .
	touch $@

.venv/installed-for-tests: .venv/installed
	$(INSTALL) --editable '.[test,docs,dask,ray,optuna,tensorboard]'
	touch $@

.venv/installed-for-docs: .venv/installed
	$(INSTALL) --editable '.[docs,digits,tensorboard]'
	touch $@

clean:
	rm -rf .venv docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
