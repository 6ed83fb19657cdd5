# SPDX-License-Identifier: Apache-2.0
# Thin porcelain over Meson; "make help" says what there is.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
SECONDS_EACH ?= 60
MINUTES ?= 5
TUNNELS ?= 48
BENCH ?=
# The packages of tools/bootstrap are those of the system's Python.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)

# Flags for the compiler go to "meson setup", not to the environment of every tool.
.PHONY: help build install tools check demo fuzz soak bench clean

help:
	@echo 'make build                      build exeat and exeat-gateway into $(BUILD)/'
	@echo 'make install                    install them (PREFIX=$(PREFIX), DESTDIR=$(DESTDIR))'
	@echo 'make demo                       see the whole journey once: curl, relay, gateway, origin'
	@echo 'make check                      everything that CI checks (tools/check --list)'
	@echo 'make check STAGES="words e2e"   only these stages of it'
	@echo 'make fuzz                       fuzz every target for SECONDS_EACH=$(SECONDS_EACH) seconds'
	@echo 'make soak                       MINUTES=$(MINUTES) of mixed traffic with faults, TUNNELS=$(TUNNELS) at once'
	@echo 'make bench                      CPU, memory and system calls beside HAProxy and nginx; BENCH="options"'
	@echo 'make tools                      install all that development needs (Debian 12, apt)'
	@echo 'make clean                      remove what was built'

build:
	@tools/bootstrap build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix=$(PREFIX)
	@ninja -C $(BUILD)

# The prefix is asked for again: the build may have been set up with another.
install: build
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

tools:
	@tools/bootstrap tools

check:
	@tools/bootstrap check
	@tools/check $(STAGES)

demo:
	@tools/bootstrap demo
	@$(MAKE) --no-print-directory build
	@BUILD=$(BUILD) tools/demo

fuzz:
	@tools/bootstrap check
	@EXEAT_FUZZ_SECONDS=$(SECONDS_EACH) tools/check fuzz

soak:
	@tools/bootstrap soak
	@$(MAKE) --no-print-directory build
	@EXEAT_BUILD=$(abspath $(BUILD)) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/soak/soak.py --minutes $(MINUTES) \
		--tunnels $(TUNNELS) $(if $(SEED),--seed $(SEED)) --report $(BUILD)/soak.json

bench:
	@tools/bootstrap bench
	@$(MAKE) --no-print-directory build
	@ninja -C $(BUILD) bench/load bench/sink
	@EXEAT_BUILD=$(abspath $(BUILD)) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/bench.py \
		--out $(BUILD)/bench.md $(BENCH)

clean:
	rm -rf $(BUILD) build-check
