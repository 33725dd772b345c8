# Flightdeck's tasks; `make` lists them. Needs GNU make and Python 3.11, 3.12 or 3.13.

PY := .venv/bin/python
# More words for pytest, for example: make test PYTEST="tests/test_step.py -x"
PYTEST ?=
# More words for the command line, for example: make run ARGS="--port 8000"
ARGS ?=
# Where `make pictures` puts them.
PICTURES ?= test-results/pictures

# Which Chromium or Chrome the browser tests drive: CHROMIUM, or the first that is found.
browser = $$($(PY) -c 'from pipelines.doctor import find_browser; print(find_browser() or "")')
# Under CI a skipped test counts as failed: nothing that is required may go missing silently.
strict = $(if $(CI),-p ci_rules)
pytest = CHROMIUM="$(browser)" PYTHONPATH=.ci $(PY) -m pytest $(strict) --numprocesses auto --maxprocesses 4 --dist loadgroup

# On this machine only, asking nobody for news or extensions; root, as in containers, may.
lab_options = --ServerApp.ip=127.0.0.1 --ServerApp.root_dir=notebooks --LabApp.extension_manager=readonly \
	--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate --LabApp.news_url= \
	$(if $(filter 0,$(shell id -u)),--allow-root)

# One file of versions for every supported Python and system; pins that still fit are kept.
compile = UV_PYTHON_DOWNLOADS=never $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --no-header

# Without bytecode every process would compile what it imports again: 2.5 to 4 times slower starts.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install run test test-deep lab check pictures bench lock browser

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

install: .venv/.installed ## Build .venv from requirements.txt, and stop there

run: .venv/.installed ## Start Flightdeck: MLflow, worker, gateway, app; Ctrl-C ends all
	@$(PY) -m pipelines up $(ARGS)

test: .venv/.tests-installed browser ## Run the tests; installs what they need, a browser included
	@$(pytest) -m "not deep" $(PYTEST)

test-deep: .venv/.tests-installed browser ## Run the long tests that `make test` leaves out
	@$(pytest) -m deep $(PYTEST) || test $$? -eq 5 # 5: there are none yet

lab: .venv/.lab-installed ## Open the notebooks in JupyterLab
	@PYTHONPATH=$(CURDIR) $(PY) -m jupyterlab $(lab_options) $(ARGS)

check: .venv/.tests-installed ## Check form, style and types of the code
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy

pictures: .venv/.tests-installed browser ## Take pictures of every room; ADDRESS=… of one that runs
	@CHROMIUM="$(browser)" PYTHONPATH="$(CURDIR):$(CURDIR)/tests" $(PY) tests/browser/screenshots.py \
		$(PICTURES) $(if $(ADDRESS),--url $(ADDRESS))

bench: .venv/.installed ## Measure against the plain tools, and print where the time goes
	@$(PY) -m pipelines bench notebooks $(ARGS)
	@$(PY) -m pipelines bench lifecycle $(ARGS)

lock: .venv/.installed ## Write the pinned files anew from requirements/*.in
	@$(compile) requirements/base.in --output-file requirements.txt
	@$(compile) requirements/dev.in --output-file requirements/dev.txt
	@$(compile) requirements/lab.in --output-file requirements/lab.txt
	@$(compile) requirements/peers-evidently.in --output-file requirements/peers-evidently.txt

browser: .venv/.tests-installed
	@test -n "$(browser)" || sh .ci/need chromium "the browser that the tests drive"

.venv/.installed: requirements.txt requirements/uv.txt requirements/install.sh
	@echo "Flightdeck needs about 230 MB of downloads and 1.2 GB on disk; it takes one to three minutes, once."
	@sh requirements/install.sh requirements.txt
	@touch $@
	@echo "Done: everything is in .venv."

.venv/.tests-installed: requirements/dev.txt .venv/.installed
	@sh requirements/install.sh requirements/dev.txt
	@touch $@

.venv/.lab-installed: requirements/lab.txt .venv/.installed
	@sh requirements/install.sh requirements/lab.txt
	@touch $@
