# SPDX-License-Identifier: Apache-2.0
# The door. Everything is done by Meson and scripts/.
PREFIX ?= /usr/local
VECTORS ?= ../shared/vectors
FUZZ_SECONDS ?= 60
PROMPT ?= Once upon a time

.PHONY: all run test golden bench asan tsan arm fuzz coverage install clean help

all:
	@scripts/build.sh release

run: all
	@build/programs/rwkv/rwkv run -n 100 --top-p 0.5 "$(PROMPT)"

test:
	@scripts/test.sh

golden: all
	@build/tests/golden/golden "$(VECTORS)"

bench: all
	@scripts/bench.sh

asan tsan arm:
	@scripts/test.sh $@

fuzz:
	@scripts/fuzz.sh $(FUZZ_SECONDS)

coverage:
	@scripts/test.sh coverage

install: all
	@scripts/install.sh "$(PREFIX)" "$(DESTDIR)"

clean:
	@rm -rf build build-asan build-tsan build-fuzz build-coverage build-arm

help:
	@echo 'make            build the program and the library in build/'
	@echo 'make run        build, then generate text with the built-in model (PROMPT="...")'
	@echo 'make test       every test: release, ASan + UBSan, TSan, coverage of the parsers, ARM'
	@echo 'make golden     compare with reference vectors (VECTORS=DIR)'
	@echo 'make bench      time the kernels and a model of random weights'
	@echo 'make asan       the tests under AddressSanitizer and UndefinedBehaviorSanitizer only'
	@echo 'make tsan       the tests of threads under ThreadSanitizer only'
	@echo 'make arm        the tests of a build for 64-bit ARM, under emulation, only'
	@echo 'make coverage   the line coverage of the parsers only'
	@echo 'make fuzz       run every fuzz target (FUZZ_SECONDS=60 each)'
	@echo 'make install    install to PREFIX=/usr/local, below DESTDIR= if given'
	@echo 'make clean      remove all build folders'
	@echo 'What is missing on a Debian machine is installed first; only that asks for root.'
