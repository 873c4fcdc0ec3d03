# Everything below works on a fresh Debian 12 machine as root with python3, make and apt.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DIST   ?= dist

VERSION  = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' quaywatch/__init__.py)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# The revision's time, so that the same sources say the same.
CREATED  = $(shell git show --no-patch --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)
# The one that the tests render and pack the chart with.
HELM    ?= $(shell $(BIN)/python -c 'from sandbox.parts.kubernetes_tools import kubernetes_tools; print(kubernetes_tools().helm)')
BUILDER ?= $(shell command -v docker || command -v podman || command -v buildah)
# The health check is no part of OCI's own format, which the builders other than Docker choose.
BUILD_IMAGE = $(BUILDER) build $(if $(filter docker,$(notdir $(BUILDER))),,--format docker) \
  $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED)

.PHONY: help install check fix test demo bench bench-probes paging soak tenants pictures locks manifests wheel image release clean
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## the virtual environment, from the hashed lock

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): locks/dev.txt pyproject.toml $(VENV)/bin/pip
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r locks/dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: install ## format, lint, types; writes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy

fix: install ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: install ## every test; what they need is installed and started by the sandbox
	@$(BIN)/python -m sandbox prepare || { sleep 10; $(BIN)/python -m sandbox prepare; } # a registry may fail once
	$(BIN)/pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder --reruns 1 -r fER

demo: install ## the sandbox, the agent on it, and the result; DEMO_SECONDS=60 ends by itself
	@$(BIN)/python -m sandbox demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

bench: install ## the agent beside the exporters it replaces, into docs/benchmarks.md; BENCH_TENANTS="1 50" is a short one
	$(BIN)/python -m bench $(BENCH_TENANTS)

tenants: install ## half an hour of a thousand tenants that come and go; TENANTS="--tenants 100 --minutes 3" is a short one
	$(BIN)/python -m bench.tenants $(TENANTS)

bench-probes: install ## probes beside bare scripts that do the same, into docs/benchmarks.md
	$(BIN)/python -m bench.probes

paging: install ## false pages of simulated months, and what real outages take to be told, into docs/objectives.md
	$(BIN)/python -m bench.paging --outages

soak: install ## 1,000 runs of all flows, some killed, and what is left, into docs/residue.md; SOAK_RUNS=100 is a short one
	$(BIN)/python -m bench.soak $(SOAK_RUNS)

pictures: install ## the dashboards' pictures in docs/, of what a sandbox that runs has stored (make demo)
	$(BIN)/python -m sandbox.pictures

manifests: install ## the manifests in deploy/ that are made of others: the PrometheusRule, the chart's examples
	$(BIN)/python -m sandbox.manifests

wheel: install ## the wheel, in dist/
	rm -rf $(DIST) && $(BIN)/hatchling build -t wheel -d $(DIST)

image: DIST := dist
image: wheel ## both images, quaywatch:VERSION and quaywatch:VERSION-browser; BASE=NAME@sha256:... is another base
	$(BUILD_IMAGE) --target agent --tag quaywatch:$(VERSION) .
	$(BUILD_IMAGE) --target browser --tag quaywatch:$(VERSION)-browser .

release: wheel ## wheel, sources, locks, chart and their signed checksums, in dist/; SIGNING_KEY=FILE is a private SSH key
	@test -n "$(SIGNING_KEY)" || { echo "name the private SSH key that signs: make release SIGNING_KEY=FILE" >&2; exit 2; }
	$(BIN)/hatchling build -t sdist -d $(DIST)
	cp locks/runtime.txt locks/browser.txt $(DIST)
	$(HELM) package deploy/helm/quaywatch --destination $(DIST)
	cd $(DIST) && sha256sum *.whl *.tar.gz *.txt *.tgz > SHA256SUMS
	ssh-keygen -q -Y sign -f $(SIGNING_KEY) -n quaywatch $(DIST)/SHA256SUMS

locks: ## resolve the dependencies again
	$(BIN)/pip install -q uv
	cd locks && for part in "runtime:" "browser:--extra browser" "dev:--all-extras --group ../pyproject.toml:dev"; do \
	  ../$(BIN)/uv pip compile ../pyproject.toml $${part#*:} --quiet --generate-hashes --no-header --no-annotate \
	    --python-version 3.11 -o $${part%%:*}.txt; done

clean: ## remove what was built here; the sandbox's cache stays
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
