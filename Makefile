# Copyright (C) the ngx_http_oci_module authors
#
#   make run          install what is needed, build, serve on 127.0.0.1:5000
#   make test         install what is needed, run the whole suite
#
#   make build        build/ngx_http_oci_module.so; SANITIZE=1: build/asan/
#   make install      the module into nginx's own folder of modules
#   make check        style, warnings as errors, static analysis
#   make unit         C unit tests; SANITIZE=1: under sanitizers
#   make fuzz         every fuzzer for SECONDS_EACH seconds
#   make pytest       the tests over HTTP; T= picks some of them
#   make conformance  both OCI conformance suites
#   make interop, bench, soak, mutants
#   make interop-table    what make interop found goes into the README
#   make lists        the lists of files in config, from the tree
#   make test-debug   over an nginx built for debugging, with sanitizers
#   make build-newest, test-newest    over the newest nginx of Debian's archive
#
# Knobs: NGINX= NGINX_SRC= PORT= STORE= TOOLS= SECONDS_EACH= QUICK= T= ZOT=

SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
.DEFAULT_GOAL = build
.DELETE_ON_ERROR:

SECONDS_EACH ?= 60
PYTHON = /usr/bin/python3
CLANG ?= clang

export NGINX_SRC PORT STORE LISTEN TOOLS SANITIZE SECONDS_EACH QUICK ZOT

# nginx itself takes NGINX in its environment for a list of sockets: whatever
# starts one gets OCI_NGINX instead.

ifneq ($(NGINX),)
export NGINX
export OCI_NGINX := $(shell command -v $(NGINX))
endif

CLEAN_ENV = env -u NGINX

MODULE = ngx_http_oci_module.so


# ---- the module

build:
	@.ci/build.sh build/$(if $(filter 1,$(SANITIZE)),asan/)$(MODULE)

run:
	@.ci/install.sh run
	@SANITIZE= .ci/build.sh build/$(MODULE)
	@.ci/serve.sh

install: build
	@.ci/modules-path.sh | { read -r dir; \
	 install -D -m 644 build/$(MODULE) "$(DESTDIR)$$dir/$(MODULE)"; \
	 echo "install: $(DESTDIR)$$dir/$(MODULE)"; }

lists:
	@$(PYTHON) .ci/lists.py .

clean:
	rm -rf build


# ---- the lower floor alone: unit tests and fuzzers

LOWER = $(sort $(wildcard src/core/*.c src/store/*.c))
UNIT = $(sort $(wildcard t/unit/test_*.c))
UNIT_HELP = $(filter-out $(UNIT),$(sort $(wildcard t/unit/*.c)))
FUZZ = $(sort $(wildcard t/fuzz/fuzz_*.c))
FUZZ_HELP = $(filter-out $(FUZZ),$(sort $(wildcard t/fuzz/*.c)))

FLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	-DOPENSSL_SUPPRESS_DEPRECATED= -Isrc/core -Isrc/store -It/unit \
	-g -Wall -Wextra -Wshadow -Wpointer-arith -Werror
LIBS = -ljansson -lzstd -lcrypto -lpthread

SAN = -fno-omit-frame-pointer -fno-sanitize-recover=undefined

UNIT_DIR = build/unit$(if $(filter 1,$(SANITIZE)),-asan)

build/unit/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -O2 -MMD -MP -c -o $@ $<

build/unit-asan/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -O1 $(SAN) -fsanitize=address,undefined \
	    -MMD -MP -c -o $@ $<

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(CLANG) $(FLAGS) -O1 $(SAN) -fsanitize=fuzzer-no-link,address,undefined \
	    -MMD -MP -c -o $@ $<

# Objects stay, also those that only a rule of a pattern asked for.
.SECONDARY:

build/unit/%: build/unit/t/unit/%.o \
		$(patsubst %.c,build/unit/%.o,$(LOWER) $(UNIT_HELP))
	$(CC) -o $@ $^ -lcmocka $(LIBS)

build/unit-asan/%: build/unit-asan/t/unit/%.o \
		$(patsubst %.c,build/unit-asan/%.o,$(LOWER) $(UNIT_HELP))
	$(CC) -fsanitize=address,undefined -o $@ $^ -lcmocka $(LIBS)

build/fuzz/%: build/fuzz/t/fuzz/%.o \
		$(patsubst %.c,build/fuzz/%.o,$(LOWER) $(FUZZ_HELP))
	$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)

UNIT_BIN = $(patsubst t/unit/%.c,$(UNIT_DIR)/%,$(UNIT))
FUZZ_BIN = $(patsubst t/fuzz/%.c,build/fuzz/%,$(FUZZ))

unit-build: $(UNIT_BIN)
fuzz-build: $(FUZZ_BIN)

unit: unit-build
	@.ci/unit.sh $(UNIT_BIN)

fuzz: fuzz-build
	@.ci/fuzz.sh $(FUZZ_BIN)

-include $(shell find build/unit build/unit-asan build/fuzz -name '*.d' \
	2>/dev/null)


# ---- checks and suites

check:
	@.ci/install.sh check
	@t/check/run

pytest: build
	@$(CLEAN_ENV) $(PYTHON) -m pytest t $(T)

conformance interop soak mutants bench:
	@.ci/install.sh $(if $(filter interop bench,$@),$@,pytest tools)
	@SANITIZE= .ci/build.sh build/$(MODULE)
	@$(CLEAN_ENV) t/$@/run

interop-table:
	@$(PYTHON) t/interop/run --readme

test:
	@.ci/install.sh test
	@$(PYTHON) .ci/suite.py test

test-debug:
	@.ci/install.sh source test
	@$(PYTHON) .ci/suite.py debug

build-newest:
	@.ci/install.sh source
	@.ci/nginx.sh newest

test-newest:
	@.ci/install.sh source test
	@$(PYTHON) .ci/suite.py newest


.PHONY: build run install lists clean unit unit-build fuzz fuzz-build check pytest \
	conformance interop interop-table bench soak mutants test test-debug build-newest \
	test-newest
