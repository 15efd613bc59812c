#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Prints the folder from which nginx loads "modules/NAME.so".

set -euo pipefail

nginx=${NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}
args=$("$nginx" -V 2>&1 | sed -n 's/^configure arguments: //p')

eval "set -- $args"

prefix=/usr/local/nginx
path=

for arg in "$@"; do
    case $arg in
    --prefix=*)        prefix=${arg#*=} ;;
    --modules-path=*)  path=${arg#*=} ;;
    esac
done

echo "${path:-$prefix/modules}"
