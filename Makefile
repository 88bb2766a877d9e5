# Two commands set everything up on a machine with Python 3.11+ and make:
#   make demo    train, evaluate, write a picture
#   make test    run the tests
# Another interpreter: make PYTHON=python3.12 demo.  One test file:
# make test TESTS=tests/ops.  Options of pip go into its PIP_* environment variables.

PYTHON ?= python3
TESTS ?= tests
# A file of tests stays in one process, whose fixtures are dear.
PYTEST_FLAGS ?= -n auto --maxprocesses 4 --dist loadfile --durations 40
TPU_TESTS ?= tpu
ENV := .venv
RUN := $(ENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet
DEMO := runs/demo

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-tpu lint format clean $(ENV)

help: ## this list
	@grep -E '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamps are written last, so an interrupted installation starts again.
.venv: $(ENV)/.product ## the environment; installs again when requirements change

$(ENV)/.product: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "dpjax wants Python 3.11 or newer, $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; \
	  exit 2; }
	@echo "Installing into $(ENV) (a few minutes, once)"
	@$(PYTHON) -m venv $(ENV)
	@$(PIP) install --editable .
	@touch $@

$(ENV)/.tests: $(ENV)/.product requirements-dev.txt
	@echo "Installing what the tests need"
	@$(PIP) install -r requirements-dev.txt
	@touch $@

# Beside the environment, not in it: see requirements-dev.txt.
$(ENV)/.tpu: $(ENV)/.tests
	@echo "Installing the TPU compiler"
	@$(PIP) install --no-deps --upgrade --target $(ENV)/tpu \
	  "$$($(RUN) -c 'from importlib import metadata as m; print(next( \
	  r.split(";")[0] for r in m.requires("jax") if r.startswith("libtpu")))')"
	@touch $@

# A photograph that was not trained on, with noise of 50 grey levels.
define NOISY
import cv2, numpy, skimage.data
image = skimage.data.chelsea()[..., ::-1]
noise = numpy.random.default_rng(0).normal(0, 50, image.shape)
cv2.imwrite("$(DEMO)/noisy.png", (image + noise).round().clip(0, 255).astype("uint8"))
endef
export NOISY

# Run again, it continues where it was interrupted; run to the end, it only scores again.
demo: .venv ## train on real photographs, evaluate, write a picture (about 5 minutes)
	$(RUN) train.py configs/restoration/demo.py --workdir $(DEMO)
	$(RUN) evaluate.py --workdir $(DEMO) --panels 6
	@$(RUN) -c "$$NOISY"
	$(RUN) -m dpjax predict $(DEMO) $(DEMO)/noisy.png -o $(DEMO)/restored.png
	@cp $(DEMO)/evaluations/dncnn/*chelsea-noise50.png $(DEMO)/demo.png
	@echo
	@echo "The picture, noisy beside restored beside original: $(DEMO)/demo.png"
	@echo "Your own: $(RUN) -m dpjax predict $(DEMO) photo.jpg -o clean.png"

test: $(ENV)/.tests ## the tests
	$(RUN) -m pytest $(PYTEST_FLAGS) $(TESTS)

test-tpu: $(ENV)/.tpu ## compile every training config for TPU pods (no TPU needed)
	PYTHONPATH=$(ENV)/tpu $(RUN) -m pytest -m "$(TPU_TESTS)" tests

lint: $(ENV)/.tests ## style and format, nothing is changed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(ENV)/.tests ## repair what can be repaired
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean: ## remove the environment and build products; keeps runs/ and prepared data
	rm -rf $(ENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
