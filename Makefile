# Everything runs inside .venv, which the stamp files below build and keep up to date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -Im pytest --import-mode=importlib
FRONTEND := widgets/frontend
LABEXTENSION := widgets/labextension

NATIVE := $(wildcard kernels/*.h kernels/*/*.c kernels/*/*.h)
INSTALL_INPUTS := pyproject.toml constraints.txt setup.py $(NATIVE)
ROOT := $(filter 0,$(shell id -u))
SUDO := $(if $(ROOT),,sudo -n)
APT := export DEBIAN_FRONTEND=noninteractive; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq
HAVE_NODE := $(and $(shell command -v npm),$(wildcard $(FRONTEND)/package.json))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo lab test test-all pytest lint format types links certify bench peers lock frontend check-frontend chromium clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/lab.stamp ## train a network with a planted fault and write demo-report.html
	$(BIN)/deepseek demo -o demo-report.html

lab: $(VENV)/lab.stamp ## open the first tutorial in JupyterLab
	$(BIN)/jupyter lab $(if $(ROOT),--allow-root) notebooks/01_watch_a_training_run.ipynb

test: MARKS := not slow
test: pytest ## lint, then unit, notebook, browser and front-end tests

test-all: MARKS := slow or not slow
test-all: pytest ## the same with the slow tests

# The browser tests run where Chromium is or can be installed; pytest's closing line comes last. Each of up to four cores
# gets whole files, the longest first. Torch computes on one thread there: more would only wait for each other.
WORKERS := $(shell nproc 2>/dev/null | awk '{print ($$1 < 4) ? $$1 : 4}')
SHARED := --tx '$(or $(WORKERS),2)*popen//python=$(BIN)/python -I' --dist loadfile --no-loadscope-reorder

pytest: lint check-frontend chromium
	@if command -v chromium >/dev/null; then marks="$(MARKS)"; \
	else marks="($(MARKS)) and not browser"; echo "Browser tests are skipped: Chromium is not installed."; fi; \
	set -x; OMP_NUM_THREADS=1 $(PYTEST) $(SHARED) --durations 12 -m "$$marks" --nbval-lax tests notebooks

lint: types check-style ## ruff, mypy strict and, where Node is installed, tsc strict
	$(if $(HAVE_NODE),npm --prefix $(FRONTEND) run --silent check)
	$(if $(HAVE_NODE),npm --prefix $(LABEXTENSION) run --silent check)
lint: $(if $(HAVE_NODE),$(FRONTEND)/node_modules/.stamp $(LABEXTENSION)/node_modules/.stamp)

.PHONY: check-style
check-style: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/dev.stamp ## let ruff put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy runs inside the folder of links, because the rooms lie beside `deepseek/` and are installed below it.
types: $(VENV)/dev.stamp links
	cd .links && ../$(BIN)/mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache -p deepseek

links:
	@rm -rf .links && mkdir -p .links/deepseek
	@ln -s $(foreach path,$(wildcard deepseek/*.py) deepseek/py.typed deepseek/callbacks inspector explain kernels widgets,../../$(path)) .links/deepseek/

certify: $(VENV)/dev.stamp ## train every model in every mode with and without a session, compare the bits, write the page
	$(BIN)/python -I tests/certify/run.py

bench: $(VENV)/dev.stamp ## measure what observation costs, beside the peers that are installed
	$(BIN)/python -I tests/benchmarks/run.py

peers: $(VENV)/dev.stamp ## install the tools that `make bench` compares with
	$(PIP) -r tests/benchmarks/requirements-peers.txt

lock: $(VENV)/dev.stamp ## write the installed versions into constraints.txt
	$(BIN)/pip freeze --all --exclude-editable | sed -E '/^(#|pip==)/d; s/\+[^ ]*//' | LC_ALL=C sort -f > constraints.txt.new
	mv constraints.txt.new constraints.txt

frontend: $(FRONTEND)/node_modules/.stamp $(LABEXTENSION)/node_modules/.stamp ## rebuild what the browser runs
	npm --prefix $(FRONTEND) run --silent build
	npm --prefix $(LABEXTENSION) run --silent build

# The extension's bundle is built but not compared: its builder names the modules by the folder that it runs in.
ifdef HAVE_NODE
check-frontend: frontend
	npm --prefix $(FRONTEND) test --silent
	git diff --exit-code --stat -- widgets/static
else
check-frontend:
	@echo "Front-end tests are skipped: Node is not installed."
endif

chromium:
	@command -v chromium >/dev/null || { $(APT) chromium >/dev/null; } || true

clean: ## remove everything that was built or measured
	rm -rf $(VENV) .links build dist *.egg-info .*_cache runs demo-report.html tests/artifacts .hypothesis
	rm -rf $(FRONTEND)/node_modules $(LABEXTENSION)/node_modules $(LABEXTENSION)/lib
	find kernels -name '*.so' -delete
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/created.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "DeepSeek Workbench needs Python 3.11 or newer, found $$($(PYTHON) -V 2>&1): make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(APT) python3-venv >/dev/null; } || { \
		echo "Python has no venv module: install the package python3-venv."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch comes first and by its exact version, so that pip settles on one build of it before anything else asks.
$(VENV)/torch.stamp: $(VENV)/created.stamp constraints.txt
	@echo "Installing into $(VENV); the first time takes a few minutes."
	$(PIP) torch
	touch $@

# An editable install leaves data files out: JupyterLab and its server find their extensions through links.
LINK = mkdir -p $(VENV)/etc/jupyter/jupyter_server_config.d && \
	ln -sfn ../../../../$(LABEXTENSION)/prebuilt $(VENV)/share/jupyter/labextensions/deepseek-workbench && \
	ln -sfn ../../../../widgets/server/deepseek-workbench.json $(VENV)/etc/jupyter/jupyter_server_config.d/

$(VENV)/lab.stamp: $(VENV)/torch.stamp $(INSTALL_INPUTS)
	$(PIP) -e '.[lab]'
	$(LINK)
	touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp $(INSTALL_INPUTS)
	$(PIP) -e '.[dev]'
	$(LINK)
	touch $@

%/node_modules/.stamp: %/package-lock.json
	npm --prefix $* ci --no-audit --no-fund
	touch $@
