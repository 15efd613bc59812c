#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Serves conf.example in the foreground with the module that `make build`
# left, on an nginx process of its own.
#
# NGINX=   the nginx binary (default: nginx on PATH, else /usr/sbin/nginx)
# PORT=    the port on 127.0.0.1 (default 5000)
# STORE=   the store's folder (default: /var/lib/nginx/oci as root, else
#          build/store)
# LISTEN=  an address other than 127.0.0.1

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
so=$root/build/ngx_http_oci_module.so
port=${PORT:-5000}
listen=${LISTEN:-127.0.0.1}
user=www-data


die() {
    echo "run: $*" >&2
    exit 1
}


absolute() {
    case $1 in
    /*) echo "$1" ;;
    *)  echo "$PWD/$1" ;;
    esac
}


nginx=${NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}
command -v "$nginx" >/dev/null || die "$nginx is not a program"
[ -f "$so" ] || die "$so is missing: make build"

case $port in
'' | *[!0-9]*) die "PORT=$port is not a number" ;;
esac

if [ "$(id -u)" = 0 ]; then
    # The workers run as another user, who often cannot reach what lies
    # below root's home: nothing of theirs is put into this folder.
    store=$(absolute "${STORE:-/var/lib/nginx/oci}")
    run=/run/nginx-oci-$port
    id "$user" >/dev/null 2>&1 || die "there is no user $user"
else
    store=$(absolute "${STORE:-$root/build/store}")
    run=$root/build/run-$port
fi

case $store$run$so in
*[\;\{\}\"\'\\\#\|\&\$[:space:]]*)
    die "a path holds a character that a configuration cannot: $store" ;;
esac

umask 022
mkdir -p "$run" "$(dirname "$store")" \
    || die "$(id -un) cannot reach the folders of $run or $store"

if [ "$(id -u)" = 0 ]; then
    chmod 755 "$run"

    if ! setpriv --reuid "$user" --regid "$user" --clear-groups \
             test -x "$(dirname "$store")"
    then
        die "the workers run as $user, who cannot reach" \
            "$(dirname "$store"); name another folder with STORE="
    fi
fi

# each expression stands for one line marked "make run" of conf.example

sed -e "s|^load_module .*|load_module $so;|" \
    -e "s|^pid .*|pid $run/nginx.pid;|" \
    -e "s|/run/nginx-oci/|$run/|" \
    -e "s|oci_store [^ ]*|oci_store $store|" \
    -e "s|listen 127.0.0.1:5000;|listen $listen:$port;|" \
    "$root/conf.example" > "$run/nginx.conf"

if [ "$(id -u)" != 0 ]; then
    sed -i "/^user /d" "$run/nginx.conf"
fi

echo "run: http://$listen:$port/v2/, store $store, configuration" \
     "$run/nginx.conf"
echo "run: Ctrl-C ends it"

# in its environment nginx takes NGINX for a list of inherited sockets
unset NGINX

exec "$nginx" -p "$run/" -e stderr -c "$run/nginx.conf" -g 'daemon off;'
