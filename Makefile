# nemoshell: build, install, try, test, measure. `make help` lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift
SWIFT_FLAGS := -c release --static-swift-stdlib --disable-local-rpath
EXECUTABLES := nemoshell nemoctl nemoshell-network
FUZZ_SECONDS ?= 3600
BENCH_FLAGS ?=
PYTEST_FLAGS ?= -vv

# Containers, engines and the packages' installation need root; everything else does not.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PYTHON = $(firstword $(wildcard $(CURDIR)/.venv/bin/python) /usr/bin/python3)
export NEMOSHELL ?= $(CURDIR)/bin/nemoshell
# For `--version`; a + when files differ from the commit, empty outside of a checkout.
export NEMOSHELL_COMMIT := $(shell git describe --always --abbrev=12 --exclude='*' --dirty=+ 2>/dev/null)
AS_ROOT = $(SUDO) env NEMOSHELL=$(NEMOSHELL) PYTHONDONTWRITEBYTECODE=1

.PHONY: help setup build install uninstall demo test test-unit test-integration bench fuzz lint clean

help:
	@echo 'setup             install the Debian packages and Python packages that building and testing need'
	@echo 'build             build the executables into bin/'
	@echo 'install           copy them to $$(DESTDIR)$$(PREFIX)/bin, schema and hook definitions to share/nemoshell; uninstall removes them'
	@echo 'demo              set up, build, make a busybox bundle and take it through its life'
	@echo 'test              everything: set up, build, unit tests, integration tests, leak check'
	@echo 'test-unit         the unit tests alone (no root)'
	@echo 'test-integration  the integration tests alone (PYTEST_FLAGS="-x -k word" chooses)'
	@echo 'bench             measure against runc, crun and the floor (BENCH_FLAGS=--quick)'
	@echo 'fuzz              fuzz config.json and the command line for FUZZ_SECONDS'
	@echo 'lint              formatting and shell scripts; clean removes what was built'

setup:
	@./Integration/setup.sh

build: setup
	$(SWIFT) build $(SWIFT_FLAGS)
	@mkdir -p bin
	@out=$$($(SWIFT) build $(SWIFT_FLAGS) --show-bin-path) && \
	for name in $(EXECUTABLES); do install -m 755 "$$out/$$name" bin/ || exit 1; done
	@$(MAKE) -s bin/nemoprobe

# Runs inside of sandboxes: one small static file of C, without Swift's runtime.
bin/nemoprobe: $(wildcard Sources/nemoprobe/*)
	@mkdir -p bin
	gcc -static -pthread -O2 -Wall -Wextra -Werror -s -o $@ Sources/nemoprobe/*.c

install:
	@for name in $(EXECUTABLES) nemoprobe; do test -x bin/$$name || { echo "install: no bin/$$name; run make build first" >&2; exit 1; }; done
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 $(EXECUTABLES:%=bin/%) bin/nemoprobe '$(DESTDIR)$(PREFIX)/bin/'
	install -d '$(DESTDIR)$(PREFIX)/share/nemoshell'
	install -m 644 spec/blueprint.schema.json '$(DESTDIR)$(PREFIX)/share/nemoshell/'
	install -d '$(DESTDIR)$(PREFIX)/share/nemoshell/hooks.d'
	install -m 644 hooks/*.json '$(DESTDIR)$(PREFIX)/share/nemoshell/hooks.d/'
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' '$(DESTDIR)$(PREFIX)'/share/nemoshell/hooks.d/*.json

uninstall:
	rm -f $(EXECUTABLES:%='$(DESTDIR)$(PREFIX)/bin/%') '$(DESTDIR)$(PREFIX)/bin/nemoprobe' '$(DESTDIR)$(PREFIX)/share/nemoshell/blueprint.schema.json'
	rm -f $(patsubst hooks/%,'$(DESTDIR)$(PREFIX)/share/nemoshell/hooks.d/%',$(wildcard hooks/*.json))
	rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(PREFIX)'/share/nemoshell/hooks.d '$(DESTDIR)$(PREFIX)/share/nemoshell' 2>/dev/null || true

demo: build
	@$(AS_ROOT) ./examples/demo.sh

test: build test-unit test-integration

test-unit: setup
	$(SWIFT) test

test-integration: build
	$(AS_ROOT) ./Integration/leak_check.py $(PYTHON) -m pytest $(PYTEST_FLAGS) Integration

bench: build
	$(AS_ROOT) ./Integration/bench/bench.py $(BENCH_FLAGS)

fuzz: build
	$(AS_ROOT) FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) -m pytest $(PYTEST_FLAGS) -s Integration -k fuzz

lint: setup
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests
	shellcheck .ci/run $$(find Integration examples hooks -name '*.sh' 2>/dev/null)
	@$(PYTHON) -c 'import ast, pathlib; [ast.parse(p.read_text(), str(p)) for p in pathlib.Path("Integration").rglob("*.py")]'

clean:
	rm -rf .build bin .venv
