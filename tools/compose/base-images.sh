#!/usr/bin/env bash
# Makes the images that docker-compose.yml names, from Debian packages of this machine's own mirror, for engines that
# can reach no registry. Needs root, debootstrap and a Docker engine. Images that exist already are left alone.
set -euo pipefail

suite=bookworm
base=${BASE_IMAGE:-debian:bookworm-slim}
node=${NODE_IMAGE:-node:24-bookworm-slim}
etcd=${ETCD_IMAGE:-gcr.io/etcd-development/etcd:v3.5.21}
nats=${NATS_IMAGE:-nats:2.10-alpine}
redis=${REDIS_IMAGE:-redis:7-bookworm}
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Downloads fail now and then: apt tries each again, and a build that fails is made once more, with its words shown.
apt="apt-get -o Acquire::Retries=5"
build() { # docker build arguments…
  local context=/dev/null log=$work/build.log
  [ "${!#}" = - ] && context=$work/stdin && cat >"$context"
  docker build --quiet --network host "$@" <"$context" >"$log" 2>&1 && return
  cat "$log" >&2
  docker build --quiet --network host "$@" <"$context" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

have() { docker image inspect "$1" >/dev/null 2>&1; }

# The first Debian archive among the machine's own apt sources.
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)' \
  | awk -F'|' -v suite="$suite" '$1 == "Debian" && $2 == "main" && $3 == suite { print $4; exit }')
mirror=${mirror:?no Debian archive among the apt sources of this machine; run apt-get update}

if ! have "$base"; then
  echo "building $base …"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" "$mirror" >"$work/debootstrap.log" 2>&1 \
    || { tail -20 "$work/debootstrap.log"; exit 1; }
  rm -rf "$work/root/var/cache/apt/archives/"*.deb
  # This machine's CAs: a mirror or registry inside may sit behind one of its own.
  cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
  tar -C "$work/root" -c . | docker import - "$base" >/dev/null
fi

package_image() { # tag, packages…
  local tag=$1
  shift
  have "$tag" && return
  echo "building $tag …"
  build --tag "$tag" - <<DOCKERFILE
FROM $base
RUN $apt update && $apt install -y --no-install-recommends $* && rm -rf /var/lib/apt/lists/*
DOCKERFILE
}
package_image "$etcd" etcd-server etcd-client
package_image "$nats" nats-server
package_image "$redis" redis-server redis-tools

if ! have "$node"; then
  echo "building $node …"
  # Node and npm of this machine: they only run npm ci in the first build stage.
  mkdir -p "$work/node/npm"
  cp "$here/node_modules/.bin/node" "$work/node/node"
  cp -r "$(npm root --global)/npm/." "$work/node/npm/"
  npm config get registry >"$work/node/registry"
  cat >"$work/node/Dockerfile" <<DOCKERFILE
FROM $base
RUN $apt update && $apt install -y --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/npm
COPY registry /etc/npm-registry
RUN ln -s ../lib/npm/bin/npm-cli.js /usr/local/bin/npm \
 && npm config set --location=global registry "\$(cat /etc/npm-registry)" cafile=/etc/ssl/certs/ca-certificates.crt
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
DOCKERFILE
  build --tag "$node" "$work/node"
fi
echo "images are ready: $base $node $etcd $nats $redis"
