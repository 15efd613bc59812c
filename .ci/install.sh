#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Installs what a target of the Makefile needs, with apt, and nothing when
# all of it is there.  No service is started, stopped or upgraded: packages
# that would bring one, or that would pull the installed nginx to another
# version, are only unpacked below build/deb.
#
# usage: .ci/install.sh build|run|check|test|bench...
#
# NGINX=, NGINX_SRC=  when given, Debian's nginx and nginx-dev are not needed

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

install=()      # packages to be installed
unpack=()       # packages to be unpacked below build/deb


die() {
    echo "install: $*" >&2
    exit 1
}


installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" \
      = installed ]
}


# the upstream part of a Debian version: 1.22.1-9+deb12u11 -> 1.22.1

upstream() {
    echo "$1" | sed 's/^[0-9]*://; s/-[^-]*$//; s/[+~].*//'
}


want() {
    local name

    for name in "$@"; do
        installed "$name" || install+=("$name")
    done
}


want_nginx() {
    local nginx=${NGINX:-}

    want gcc make libc6-dev libjansson-dev libzstd-dev libssl-dev \
         libpcre2-dev zlib1g-dev

    if [ -z "$nginx" ]; then
        nginx=$(command -v nginx || command -v /usr/sbin/nginx || true)
        [ -n "$nginx" ] || install+=(nginx)
    fi

    if [ -z "${NGINX_SRC:-}" ] && ! installed nginx-dev; then
        unpack+=(nginx-dev)
    fi
}


want_one() {
    case $1 in

    build)
        want_nginx
        ;;

    run)
        want_nginx
        want util-linux
        ;;

    unit)
        want gcc make libc6-dev libjansson-dev libzstd-dev libssl-dev \
             libcmocka-dev
        ;;

    fuzz)
        want_one unit
        want clang
        want_clang_runtime
        ;;

    check)
        want_nginx
        want_one fuzz
        want cppcheck python3 pyflakes3
        ;;

    source)
        want_one build
        want ca-certificates xz-utils
        ;;

    pytest)
        want_one run
        want python3 python3-pytest python3-requests python3-httpx \
             python3-h2 python3-jwt openssl curl strace valgrind libc6-dbg \
             procps iproute2 e2fsprogs mount git zstd ca-certificates
        command -v docker-registry >/dev/null || unpack+=(docker-registry)
        ;;

    tools)
        want ca-certificates util-linux python3-venv
        ;;

    interop-short)
        want_one pytest
        want_one tools
        want skopeo podman buildah crun debootstrap
        command -v containerd >/dev/null || unpack+=(containerd)
        ;;

    interop)
        want_one interop-short

        if [ -z "${QUICK:-}" ] || [ "$QUICK" = 0 ]; then
            want python3-venv g++ nlohmann-json3-dev libssl-dev pkgconf
            want_rust
        fi
        ;;

    bench)
        want_one pytest
        want_one tools
        ;;

    test)
        want_one check
        want_one interop-short
        want_one bench
        ;;

    *)
        die "usage: .ci/install.sh build|run|check|test|bench..."
        ;;

    esac
}


# Debian 12 has a Rust for what browsers are built of, beside the one it came
# with; t/tools.sh says whether what is there is new enough.

want_rust() {
    if command -v cargo >/dev/null; then
        return
    fi

    if [ "$(. /etc/os-release && echo "$VERSION_ID")" = 12 ]; then
        want cargo-web
    else
        want cargo
    fi
}


# The number in the name of clang's runtime package is the compiler's; it is
# known once apt's lists are there.

want_clang_runtime() {
    local version

    version=$(clang -dumpversion 2>/dev/null | cut -d . -f 1 || true)

    if [ -n "$version" ]; then
        want "libclang-rt-$version-dev"
    else
        install+=(libclang-rt-N-dev)
    fi
}


name_clang_runtime() {
    local i version

    version=$(apt-cache depends clang \
              | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)

    for i in "${!install[@]}"; do
        install[i]=${install[$i]/libclang-rt-N-dev/libclang-rt-$version-dev}
    done
}


retry() {
    local i

    for i in 1 2 3; do
        "$@" && return
        echo "install: try $i of 3 failed: $*" >&2
    done

    return 1
}


apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o Acquire::Retries=5 -o Dpkg::Use-Pty=0 "$@" >> "$log" 2>&1 \
        < /dev/null
}


# With this file dpkg's scripts neither start nor stop a service.

no_services() {
    policy=/usr/sbin/policy-rc.d

    if [ -e $policy ]; then
        policy=
        return
    fi

    trap 'services_again' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
}


services_again() {
    [ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
    policy=
    trap - EXIT
}


# Unpacks $1 below build/deb.  nginx-dev must be of the upstream version of
# the nginx here, whichever of its Debian revisions the archive still has.

unpack_one() {
    local name=$1 version have dir=$root/build/deb/$1

    version=

    if [ "$name" = nginx-dev ]; then
        have=$("${NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}" -v \
               2>&1 | sed -n 's/.*nginx\/\([0-9.]*\).*/\1/p')
        version=$(apt-cache madison nginx-dev | awk '{ print $3 }' \
                  | while read -r v; do
                        [ "$(upstream "$v")" = "$have" ] && echo "$v"
                    done | head -n 1) || true

        if [ -z "$version" ]; then
            die "the archive has no nginx-dev for nginx $have; name a" \
                "source tree of that version with NGINX_SRC="
        fi
    fi

    rm -rf "$dir" "$dir.part"
    mkdir -p "$dir.part"
    (cd "$dir.part" \
     && retry apt-get -q -o Acquire::Retries=5 -o APT::Sandbox::User=root \
            download "$name${version:+=$version}" >> "$log" 2>&1 \
     && dpkg-deb -x ./*.deb . && rm -f ./*.deb) \
        || die "could not fetch $name, see $log"
    mv "$dir.part" "$dir"
}


unpacked() {
    [ -d "$root/build/deb/$1" ]
}


[ $# -gt 0 ] || die "usage: .ci/install.sh build|run|check|test|bench..."
command -v apt-get >/dev/null || die "this needs Debian's apt-get"

for what in "$@"; do
    want_one "$what"
done

rest=()

for name in "${unpack[@]}"; do
    unpacked "$name" || rest+=("$name")
done

if [ ${#install[@]} -eq 0 ] && [ ${#rest[@]} -eq 0 ]; then
    exit 0
fi

mapfile -t install < <(printf '%s\n' "${install[@]}" | sort -u | sed '/^$/d')
mapfile -t rest < <(printf '%s\n' "${rest[@]}" | sort -u | sed '/^$/d')

as_root=()

if [ "$(id -u)" != 0 ] && [ ${#install[@]} -gt 0 ]; then
    if ! command -v sudo >/dev/null \
       || ! { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }
    then
        die "not root and no sudo; missing packages: ${install[*]}"
    fi

    as_root=(sudo)
fi

mkdir -p "$root/build/log"
log=$root/build/log/apt.log
exec 8> "$root/build/lock.apt"
flock 8

if [ ${#install[@]} -gt 0 ]; then
    retry apt update || die "apt-get update failed, see $log"
    name_clang_runtime
    echo "install: ${install[*]}"
    no_services
    retry apt install --no-install-recommends "${install[@]}" \
        || die "apt-get install failed, see $log"
    services_again

elif [ ${#rest[@]} -gt 0 ] && [ "$(id -u)" = 0 ]; then
    retry apt update || die "apt-get update failed, see $log"
fi

for name in "${rest[@]}"; do
    echo "install: unpacking $name"
    unpack_one "$name"
done
