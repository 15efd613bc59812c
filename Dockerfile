# Copyright (C) the ngx_http_oci_module authors
#
# A registry in a container: Debian's nginx with this module, as www-data.
#
#   docker build -t nginx-oci .
#   docker run -p 5000:5000 -v oci:/var/lib/nginx/oci nginx-oci
#
# BASE is any Debian from 12 on.

ARG BASE=debian:bookworm-slim


FROM ${BASE} AS build

ENV DEBIAN_FRONTEND=noninteractive

RUN apt-get -q -o Acquire::Retries=5 update \
    && apt-get -q -y -o Acquire::Retries=5 install --no-install-recommends \
           make

WORKDIR /src
COPY config Makefile ./
COPY .ci .ci
COPY src src

RUN .ci/install.sh build && make build


FROM ${BASE}

ENV DEBIAN_FRONTEND=noninteractive

# No service starts here; libjansson4 and libzstd1 are what the module links.

RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d \
    && chmod 755 /usr/sbin/policy-rc.d \
    && apt-get -q -o Acquire::Retries=5 update \
    && apt-get -q -y -o Acquire::Retries=5 install --no-install-recommends \
           nginx libjansson4 libzstd1 ca-certificates \
    && rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d

COPY --from=build /src/build/ngx_http_oci_module.so \
     /usr/lib/nginx/modules/ngx_http_oci_module.so
COPY conf.example /etc/nginx/oci.conf

# Every address, no `user` and no limits to raise (there is no root to do it),
# temporary files and the pid in folders of www-data.  Mount a file of your own over
# /etc/nginx/oci.conf for TLS, logins or limits.

RUN sed -i -e '/^user /d' -e '/^worker_rlimit_nofile /d' \
           -e 's|listen 127.0.0.1:5000;|listen 5000;|' \
           -e 's|/run/nginx-oci/|/var/lib/nginx/run/|' \
           -e 's| *# make run$||' /etc/nginx/oci.conf \
    && mkdir -p /var/lib/nginx/oci /var/lib/nginx/run \
    && chown -R www-data:www-data /var/lib/nginx/oci /var/lib/nginx/run

USER www-data
EXPOSE 5000
VOLUME /var/lib/nginx/oci
STOPSIGNAL SIGQUIT

# nginx opens /dev/stdout by its name, and not every runtime gives that to
# the user of the container: a pipe of its own always opens.

CMD ["/bin/bash", "-c", \
     "exec nginx -e stderr -c /etc/nginx/oci.conf -g 'daemon off;' > >(exec cat)"]
