#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Builds the module for one nginx.  What nginx's configure has written is
# kept until the nginx, the flags or the list of source files change, so a
# second run only compiles what changed.
#
# usage: .ci/build.sh OUT.so
#
# NGINX=      the nginx binary (default: nginx on PATH, else /usr/sbin/nginx)
# NGINX_SRC=  its source tree; not needed where Debian's nginx-dev has the
#             same version (installed, or unpacked by .ci/install.sh)
# SANITIZE=1  with AddressSanitizer and UndefinedBehaviorSanitizer
# CC=         the compiler

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:?usage: .ci/build.sh OUT.so}
dev=/usr/share/nginx/src
unpacked=$root/build/deb/nginx-dev$dev
cc=${CC:-cc}


die() {
    echo "build: $*" >&2
    exit 1
}


version_of_tree() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$1/src/core/nginx.h"
}


find_nginx() {
    if [ -n "${NGINX:-}" ]; then
        command -v "$NGINX" || die "NGINX=$NGINX is not a program"
    elif command -v nginx; then
        :
    elif [ -x /usr/sbin/nginx ]; then
        echo /usr/sbin/nginx
    else
        die "no nginx on PATH; install one or name it with NGINX="
    fi
}


# Of the arguments that the binary was configured with, those that decide
# its ABI and need no further libraries.

flags_of_binary() {
    local arg

    eval "set -- $("$1" -V 2>&1 | sed -n 's/^configure arguments: //p')"

    for arg in "$@"; do
        case $arg in
        --with-compat | --with-debug | --with-http_ssl_module \
        | --with-http_v2_module | --with-http_v3_module \
        | --with-http_realip_module | --with-http_dav_module \
        | --with-http_gunzip_module | --with-http_gzip_static_module \
        | --with-http_slice_module | --with-http_auth_request_module \
        | --with-file-aio | --with-pcre | --with-pcre-jit \
        | --without-pcre | --without-pcre2 \
        | --without-http_rewrite_module | --without-http_gzip_module)
            echo "$arg"
            ;;
        esac
    done

    echo --with-threads
}


[ ! -d "$unpacked" ] || dev=$unpacked
nginx=$(find_nginx)
version=$("$nginx" -v 2>&1 | sed -n 's/^nginx version: nginx\/\([0-9.]*\).*/\1/p')
[ -n "$version" ] || die "$nginx does not tell its version"

if [ -n "${NGINX_SRC:-}" ]; then
    [ -f "$NGINX_SRC/src/core/nginx.h" ] \
        || die "NGINX_SRC=$NGINX_SRC is not a source tree of nginx"
    src=$(cd "$NGINX_SRC" && pwd)
    mapfile -t flags < <(flags_of_binary "$nginx")

    if [ ! -f "$src/configure" ]; then
        # a checkout of the repository, not a release
        flags=(--with-compat "${flags[@]}")
    fi

elif [ -f "$dev/src/core/nginx.h" ] \
     && [ "$(version_of_tree "$dev")" = "$version" ]
then
    src=$dev
    # it asks dpkg-dev, where that is installed, for what is not needed here
    # shellcheck disable=SC1091
    . "$dev/conf_flags" 2>/dev/null || true
    mapfile -t flags < <(printf '%s\n' "${NGX_CONF_FLAGS[@]}" \
                         | grep -v -e '^--with-cc-opt=' -e '^--with-ld-opt=' \
                                   -e '^--override-')

else
    die "$nginx is version $version; name a source tree of that version" \
        "with NGINX_SRC= (Debian's nginx-dev here:" \
        "$(version_of_tree "$dev" 2>/dev/null || echo none))"
fi

if [ "$(version_of_tree "$src")" != "$version" ]; then
    die "$src is nginx $(version_of_tree "$src"), $nginx is $version"
fi

cc_opt="-g -O2 -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2"
ld_opt="-Wl,-z,relro -Wl,-z,now"
form=stock

if [ "${SANITIZE:-}" = 1 ]; then
    form=asan
    cc_opt="-g -O1 -fPIC -fno-omit-frame-pointer -fsanitize=address,undefined"
    cc_opt="$cc_opt -fno-sanitize=alignment -fno-sanitize-recover=undefined"
    ld_opt="-fsanitize=address,undefined"
fi

if [ "$cc" != cc ]; then
    form=$form-$(basename "$cc")
fi

cc_opt="$cc_opt ${CFLAGS:-}"

# a file that `config` does not list would be found missing only at run time

if ! differs=$(diff <(grep -oE '[a-z0-9_]+\.[ch]\b' "$root/config" \
                     | grep oci_ | LC_ALL=C sort) \
                    <(find "$root/src" -name '*.[ch]' -printf '%f\n' \
                     | LC_ALL=C sort))
then
    printf '%s\n' "$differs" | grep '^[<>]' >&2
    die "the lists of files in config (<) and the tree (>) differ: make lists"
fi

# configure again only when one of these changes

tree=$root/build/nginx-$version-$form
stamp=$tree/.configured
key=$({ echo "$src" "$(stat -c %Y "$src/src/core/nginx.h")" "$cc" "$cc_opt" "$ld_opt" "${flags[@]}"
        "$nginx" -V 2>&1
        cat "$root/config"
        cd "$root" && find src -name '*.[ch]' | LC_ALL=C sort
      } | sha256sum)

mkdir -p "$root/build"
exec 9> "$root/build/lock"
flock 9

if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
    echo "build: configuring for nginx $version ($form)"

    rm -rf "$tree"
    mkdir -p "$tree"
    cp -r "$src/." "$tree/"
    rm -rf "$tree/objs"
    configure=./configure
    [ -f "$tree/configure" ] || configure=auto/configure

    (cd "$tree" && ASAN_OPTIONS=detect_leaks=0 "$configure" \
         "${flags[@]}" --with-cc="$cc" --with-cc-opt="$cc_opt" \
         --with-ld-opt="$ld_opt" --add-dynamic-module="$root") \
        > "$tree/configure.log" 2>&1 \
        || { tail -n 20 "$tree/configure.log" >&2
             die "configure failed, see $tree/configure.log"; }

    echo "$key" > "$stamp"
fi

make -s -C "$tree" -f objs/Makefile -j "$(nproc)" modules

so=$tree/objs/ngx_http_oci_module.so

if ! cmp -s "$so" "$out"; then
    mkdir -p "$(dirname "$out")"
    cp "$so" "$out.new"
    mv -f "$out.new" "$out"
fi

echo "build: $out for nginx $version"
