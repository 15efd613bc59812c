#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Builds an nginx from the source package of Debian, with the module in it
# or beside it, and prints nothing but what it does.
#
# usage: .ci/nginx.sh debug    build/debug/nginx: this system's version, the
#                              module inside, every allocation of a pool on
#                              its own, under AddressSanitizer and UBSan
#        .ci/nginx.sh newest   build/newest/ngx_http_oci_module.so and nginx:
#                              the newest version in Debian's archive
#        .ci/nginx.sh newest-http
#                              the tests over HTTP with what newest made
#
# `newest` takes the source package.  Where the archive does not hand it out,
# the module is compiled against nginx-dev of that suite, the headers of the
# same version, and the nginx to run is the distribution's own program: on
# this machine when it has the libraries for it, else in a chroot of that
# suite, by t/chroot/run.  What was taken is said, and kept in
# build/newest/way: source, package or chroot.
#
# NGINX_SUITE=  the suite for `newest` (default sid)
# NGINX_TREE=   a source tree of nginx to take instead

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
usage='usage: .ci/nginx.sh debug|newest|newest-http'
what=${1:?$usage}
log=$root/build/log/nginx-$what.log
mkdir -p "$root/build/log"

here=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")


die() {
    echo "nginx: $*" >&2
    exit 1
}


case $what in
debug)   suite=$here ;;
newest*) suite=${NGINX_SUITE:-sid} ;;
*)       die "$usage" ;;
esac


# The mirror that this machine takes its own packages from.

mirror() {
    local uri

    uri=$(apt-get indextargets --format '$(ORIGIN) $(SUITE) $(REPO_URI)' \
              'Created-By: Packages' 2>/dev/null \
          | awk '$1 == "Debian" && $2 !~ /security|updates|backports/ \
                 { print $3; exit }')

    if [ -z "$uri" ]; then
        uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
                  2>/dev/null \
              | sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\/debian\/\?\) .*/\2/p' \
              | head -n 1)
    fi

    if [ -z "$uri" ]; then
        uri=$(sed -n 's/^URIs: *\([^ ]*\/debian\/\?\).*/\1/p' \
                  /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
    fi

    [ -n "$uri" ] || die "no Debian mirror in the sources of apt"
    echo "${uri%/}"
}


# apt over folders of its own: the machine's lists stay as they are.

use_suite() {
    local i key=/usr/share/keyrings/debian-archive-keyring.gpg

    dir=$root/build/source/$suite
    mkdir -p "$dir"/apt/{lists,cache,parts}/partial
    printf '%s [signed-by=%s] %s %s main\n' \
        deb-src "$key" "$(mirror)" "$suite" \
        deb "$key" "$(mirror)" "$suite" > "$dir/apt/sources.list"

    apt=(apt-get -q -o Acquire::Retries=5 -o APT::Sandbox::User=root
         -o "Dir::Etc::SourceList=$dir/apt/sources.list"
         -o "Dir::Etc::SourceParts=$dir/apt/parts"
         -o "Dir::State::Lists=$dir/apt/lists"
         -o "Dir::Cache=$dir/apt/cache")

    for i in 1 2 3; do
        ! "${apt[@]}" update >> "$log" 2>&1 || return 0
    done

    die "apt-get update for $suite failed, see $log"
}


find_tarball() {
    tarball=$(ls "$root/build/source/$suite"/nginx_*.orig.tar.* 2>/dev/null \
              | grep -v '\.asc$' | sort -V | tail -n 1 || true)
    [ -n "$tarball" ]
}


# Sets $tarball to the upstream tarball of nginx in $suite.  It alone is
# needed, so a failure to fetch the package's other parts is none.

fetch() {
    ! find_tarball || return 0

    echo "nginx: fetching the source of $suite"
    use_suite
    (cd "$dir" && "${apt[@]}" source --download-only nginx) \
        >> "$log" 2>&1 || true
    find_tarball
}


# Unpacks nginx-dev and nginx of $suite below $packages.

fetch_packages() {
    local i

    packages=$root/build/source/$suite/packages
    src=$packages/usr/share/nginx/src

    if [ ! -f "$packages/.done" ]; then
        echo "nginx: fetching nginx-dev and nginx of $suite"
        [ -n "${apt[*]:-}" ] || use_suite
        rm -rf "$packages"
        mkdir -p "$packages"

        for i in 1 2 3; do
            if (cd "$packages" && "${apt[@]}" download nginx nginx-dev) \
                >> "$log" 2>&1
            then
                for i in "$packages"/*.deb; do
                    dpkg-deb -x "$i" "$packages"
                done

                touch "$packages/.done"
                break
            fi
        done

        [ -f "$packages/.done" ] || die "could not fetch nginx-dev and" \
            "nginx of $suite, see $log"
    fi

    version=$(version_of "$src")
}


version_of() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$1/src/core/nginx.h"
}


# Unpacks $tarball into $src.

unpack() {
    src=$root/build/source/$suite/$(basename "$tarball" \
          | sed 's/\.orig\.tar\..*//; s/_/-/')

    if [ ! -f "$src/.done" ]; then
        rm -rf "$src"
        mkdir -p "$src"
        tar -xf "$tarball" -C "$src" --strip-components=1
        touch "$src/.done"
    fi

    version=$(version_of "$src")
}


common=(--with-threads --with-debug --with-http_ssl_module
        --with-http_v2_module --with-http_realip_module
        --with-http_auth_request_module --with-http_dav_module
        --with-http_sub_module --with-http_addition_module
        --with-http_gunzip_module --with-http_gzip_static_module
        --with-http_secure_link_module --with-http_slice_module
        --with-http_stub_status_module --with-pcre-jit)


# configure_and_make DIR MAKE-TARGETS... -- CONFIGURE-ARGUMENTS...; again
# only when something of it changed

configure_and_make() {
    local dir=$1 targets=() key conf
    shift

    while [ "$1" != -- ]; do
        targets+=("$1")
        shift
    done

    shift
    key=$({ echo "$version" "$@"; cat "$root/config"
            cd "$root" && find src -name '*.[ch]' | LC_ALL=C sort
          } | sha256sum)

    if [ "$(cat "$dir/tree/.configured" 2>/dev/null)" != "$key" ]; then
        echo "nginx: configuring $version ($what)"
        rm -rf "$dir"
        mkdir -p "$dir/tree"
        cp -r "$src/." "$dir/tree/"
        conf=./configure
        [ -f "$dir/tree/configure" ] || conf=auto/configure
        (cd "$dir/tree" && ASAN_OPTIONS=detect_leaks=0 "$conf" "$@") \
            >> "$log" 2>&1 \
            || { tail -n 20 "$log" >&2; die "configure failed, see $log"; }
        echo "$key" > "$dir/tree/.configured"
    fi

    echo "nginx: making $version ($what)"
    ASAN_OPTIONS=detect_leaks=0 nice make -s -C "$dir/tree" \
        -f objs/Makefile -j "$(nproc)" "${targets[@]}" >> "$log" 2>&1 \
        || { tail -n 40 "$log" >&2; die "make failed, see $log"; }
}


# nginx's own sources compare and copy empty strings at NULL, and read
# integers at any address; the module's rooms below are held to the full set
# in the unit tests.

debug() {
    local dir=$root/build/debug san

    san="-fsanitize=address,undefined -fno-omit-frame-pointer"
    san="$san -fno-sanitize=alignment,nonnull-attribute,pointer-overflow"
    san="$san -fno-sanitize=function -fno-sanitize-recover=undefined"

    if ! echo 'int main(void) { return 0; }' \
         | cc -x c -fno-sanitize=function -o /dev/null - 2>/dev/null
    then
        san=${san/-fno-sanitize=function /}
    fi

    configure_and_make "$dir" binary -- "${common[@]}" \
        --with-cc-opt="-g -O1 -DNGX_DEBUG_PALLOC=1 $san" \
        --with-ld-opt="$san" --add-module="$root"

    ln -sf tree/objs/nginx "$dir/nginx"
    "$dir/nginx" -v
}


newest() {
    local dir=$root/build/newest

    configure_and_make "$dir" binary modules -- "${common[@]}" \
        --with-compat --with-http_v3_module \
        --with-cc-opt="-g -O2 -fPIC" --add-dynamic-module="$root"

    ln -sf tree/objs/nginx "$dir/nginx"
    "$dir/nginx" -v
    finish_newest source
    echo "nginx: $version of $suite is built from its source package"
}


newest_of_packages() {
    local dir=$root/build/newest nginx=$packages/usr/sbin/nginx flags

    # shellcheck disable=SC1091
    flags=$(. "$src/conf_flags" 2>/dev/null
            printf '%s\n' "${NGX_CONF_FLAGS[@]}" \
            | grep -v -e '^--with-cc-opt=' -e '^--with-ld-opt=' \
                      -e '^--override-' -e '-path=' -e '^--prefix=')
    mapfile -t flags <<< "$flags"

    configure_and_make "$dir" modules -- "${flags[@]}" \
        --with-cc-opt="-g -O2 -fPIC" --add-dynamic-module="$root"

    echo "nginx: the archive does not hand out the source of nginx $version" \
         "in $suite"
    echo "nginx: the module is compiled against nginx-dev of $suite instead"
    rm -f "$dir/nginx"

    if "$nginx" -v 2>/dev/null; then
        ln -sf "$nginx" "$dir/nginx"
        finish_newest package
        echo "nginx: it runs in the distribution's own nginx $version"
    else
        finish_newest chroot
        echo "nginx: nginx $version of $suite needs newer libraries than this" \
             "machine has: it runs in a chroot, by t/chroot/run $suite smoke" \
             "or http"
    fi
}


finish_newest() {
    if grep -q 'warning:' "$log"; then
        grep 'warning:' "$log"
        die "warnings, see $log"
    fi

    ln -sf tree/objs/ngx_http_oci_module.so \
        "$root/build/newest/ngx_http_oci_module.so"
    echo "$1" > "$root/build/newest/way"
}


# Nothing is left out in silence: without a way to run it this fails.

newest_http() {
    local dir=$root/build/newest way

    way=$(cat "$dir/way" 2>/dev/null) \
        || die "no build/newest: .ci/nginx.sh newest comes first"

    if [ "$way" = chroot ]; then
        echo "nginx: over the nginx of $suite, in a chroot of it"
        exec "$root/t/chroot/run" "$suite" http
    fi

    echo "nginx: over $("$dir/nginx" -v 2>&1), by way of its $way"
    cd "$root"
    exec env -u NGINX OCI_NGINX="$dir/nginx" \
        OCI_MODULE="$dir/ngx_http_oci_module.so" \
        /usr/bin/python3 -m pytest t
}


apt=()

if [ "$what" = newest-http ]; then
    newest_http
fi

make=$what
exec 9> "$root/build/lock.$what"
flock 9
: > "$log"

if [ -n "${NGINX_TREE:-}" ]; then
    src=$(cd "$NGINX_TREE" && pwd)
    version=$(version_of "$src")
elif fetch; then
    unpack
elif [ "$what" = newest ]; then
    fetch_packages
    make=newest_of_packages
else
    die "the archive did not give the upstream tarball of nginx in $suite," \
        "see $log; a tree of it can be named with NGINX_TREE="
fi

"$make"
