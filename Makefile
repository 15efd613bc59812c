# Copyright (C) the ngx_http_oci_module authors

SHELL = /bin/bash

build:
	@.ci/build.sh build/$(if $(SANITIZE),asan/)ngx_http_oci_module.so

clean:
	rm -rf build

.PHONY: build clean
