# The two commands of the README. Everything they need they install themselves, into .venv and .cache.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint unit cluster machine bench examples wheel clean

$(VENV)/.installed: pyproject.toml
	@echo "installing podcov and its tools into $(VENV), which takes a while"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

SHOP := examples/shop/catalog/requirements.txt examples/shop/orders/requirements.txt
$(VENV)/.shop: $(VENV)/.installed $(SHOP)
	@echo "installing what the shop's services need into $(VENV)"
	$(BIN)/python -m pip install --quiet $(addprefix --requirement ,$(SHOP))
	touch $@

# The main job on the embedded default: the shop's services as processes on this machine, no cluster. One of them is in Go, and
# left out where there is no Go to build it.
WITHOUT_GO := --without shipping -- python3 -m pytest tests/integration --ignore tests/integration/test_shipping.py
demo: $(VENV)/.shop
	@command -v go >/dev/null || echo "there is no go on the PATH: shipping, the service in Go, is left out"
	PATH="$(CURDIR)/$(BIN):$$PATH" podcov run -c examples/shop/podcov.yaml --platform local $$(command -v go >/dev/null || echo "$(WITHOUT_GO)")

# Files of tests side by side. Those of the cluster mostly wait for pods: two processes of them keep two processors busy.
# One test after the other: make cluster CLUSTER_WORKERS=
UNIT_WORKERS := --numprocesses auto --maxprocesses 4 --dist loadfile
CLUSTER_WORKERS := --numprocesses 2 --dist loadgroup

test: lint unit cluster

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Everything that needs no cluster: the core, real processes, real kustomize, the local platform.
unit: $(VENV)/.installed machine
	$(BIN)/pytest tests --ignore tests/cluster $(UNIT_WORKERS)

# The real thing: Kubernetes, Skaffold and Tilt, built once and kept in the user's cache.
cluster: $(VENV)/.installed machine
	$(BIN)/pytest tests/cluster $(CLUSTER_WORKERS)

# What the tests need of this machine; takes a second when it is there already.
machine:
	tests/cluster/cluster build

# Speed beside `coverage run`, as ratios. OPTIONS="--python python3.13", and others: see benchmarks/README.md.
bench: $(VENV)/.installed
	$(BIN)/python benchmarks/startup.py $(OPTIONS)
	$(BIN)/python benchmarks/throughput.py $(OPTIONS)

# After a change of the wrapper or the generator: the examples' generated files are committed, and tests hold them against init.
examples: $(VENV)/.installed
	for example in examples/*/; do (cd "$$example" && "$(CURDIR)/$(BIN)/podcov" init) || exit; done

# For a release: the wheel brings the compiled tracers, so that users' machines need not fetch them.
wheel: $(VENV)/.installed
	$(BIN)/python -c "from podcov.edges import tracers; tracers.ensure(tracers.minors_for('branch'))"
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .cache dist build
