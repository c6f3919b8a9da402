#!/usr/bin/env bash
# Brings docker-compose.yml up for real, two replicas of each tier, and asks every replica from the host and by service
# name. Uses the engine that answers; where none does and we are root on a Debian, starts one of its own for the run.
# Where no engine can be had it says so and ends well.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
project=edge-smoke-$$
engine_pid=

cleanup() {
  status=$?
  if [ $status -ne 0 ] && [ -n "${compose:-}" ]; then $compose logs --tail=40 2>&1 | tail -200 || true; fi
  if [ -n "${compose:-}" ]; then $compose down --volumes --timeout 30 >/dev/null 2>&1 || true; fi
  if [ -n "$engine_pid" ]; then
    kill "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
    # dockerd leaves the network namespace of the host mounted.
    awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount "$mount" || true; done
  fi
  rm -rf "$work" || echo "left behind: $work"
  exit $status
}
trap cleanup EXIT

skip() { echo "compose smoke test not run: $1"; exit 0; }

if ! docker info >/dev/null 2>&1; then
  [ "$(id -u)" = 0 ] || skip "no Docker engine answers, and only root can start one"
  if ! command -v dockerd >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || skip "no Docker engine, and no apt to install one with"
    echo "installing a Docker engine …"
    apt-get -qq update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
      docker.io docker-compose iptables debootstrap >"$work/apt.log" 2>&1 || skip "docker.io cannot be installed: $(tail -1 "$work/apt.log")"
  fi
  export DOCKER_HOST=unix://$work/docker.sock
  dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" >"$work/dockerd.log" 2>&1 &
  engine_pid=$!
  for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
  docker info >/dev/null 2>&1 || { tail -5 "$work/dockerd.log"; skip "dockerd does not start here"; }
fi

if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi
command -v "${compose%% *}" >/dev/null 2>&1 || skip "no compose"
compose="$compose --project-name $project"

# Official images where a registry answers, our own of the same names where none does.
if ! docker pull --quiet "${BASE_IMAGE:-debian:bookworm-slim}" >/dev/null 2>&1; then
  command -v debootstrap >/dev/null 2>&1 || apt-get -qq install -y --no-install-recommends debootstrap >/dev/null 2>&1 \
    || skip "no registry answers, and debootstrap is missing"
  apt-get -qq update >/dev/null 2>&1 || true
  tools/compose/base-images.sh 2>"$work/images.log" || { tail -40 "$work/images.log"; exit 1; }
fi

echo "building the four images …"
$compose build --quiet >"$work/build.log" 2>&1 || { tail -40 "$work/build.log"; exit 1; }
echo "starting the fleet …"
$compose up --detach --no-build \
  --scale tcp-gateway=2 --scale grpc-proxy=2 --scale http-gateway=2 --scale discovery=2 >"$work/up.log" 2>&1 \
  || { tail -40 "$work/up.log"; exit 1; }

wait_healthy() { # service replicas
  for _ in $(seq 120); do
    healthy=0
    for id in $($compose ps --quiet "$1"); do
      [ "$(docker inspect --format '{{.State.Health.Status}}' "$id")" = healthy ] && healthy=$((healthy + 1))
    done
    [ "$healthy" = "$2" ] && return
    sleep 1
  done
  echo "$1: $healthy of $2 replicas healthy after 120 s"
  exit 1
}
published() { # service container-port[/protocol]: host addresses of every replica
  for id in $($compose ps --quiet "$1"); do docker port "$id" "$2"; done
}
# etcdctl and HTTP from inside the network, by service name.
inside() { $compose exec -T etcd1 env ETCDCTL_API=3 etcdctl "$@"; }

for tier in tcp-gateway grpc-proxy http-gateway discovery; do wait_healthy $tier 2; done
echo "every replica is healthy"

inside --endpoints=grpc-proxy:23790 put smoke works >/dev/null
for tier in grpc-proxy tcp-gateway; do
  [ "$(inside --endpoints=$tier:23790 get smoke --print-value-only)" = works ]
done
key=$(printf smoke | base64)
for address in $(published http-gateway 23780); do
  curl --silent --fail "http://$address/v3/kv/range" --data "{\"key\":\"$key\"}" | grep -q "$(printf works | base64)"
done
for address in $(published grpc-proxy 23790); do curl --silent --fail "http://$address/health" | grep -q '"health":"true"'; done
for address in $(published tcp-gateway 23790); do curl --silent --fail "http://$address/health" | grep -q '"health":"true"'; done
inside_http() { # URL: its body, asked for by a tier inside the network
  $compose exec -T grpc-proxy /usr/local/bin/node -e 'fetch(process.argv[1]).then(async (r) => process.stdout.write(await r.text()))' "$1"
}
inside_http http://http-gateway:23780/version | grep -q etcdserver
inside_http http://discovery:23770/v1/endpoints | grep -q 2379
if command -v dig >/dev/null 2>&1; then
  for address in $(published discovery 23753/udp); do
    dig +short "@${address%:*}" -p "${address##*:}" _etcd-client._tcp.etcd.local SRV | grep -q 2379
  done
fi
for address in $(published discovery 23770); do curl --silent --fail "http://$address/v1/endpoints" | grep -q 2379; done
echo "every replica answers from the host and by service name"

for id in $($compose ps --quiet grpc-proxy tcp-gateway http-gateway discovery); do
  docker stop --time 30 "$id" >/dev/null
  code=$(docker inspect --format '{{.State.ExitCode}}' "$id")
  [ "$code" = 0 ] || { echo "a tier ended with $code on SIGTERM"; exit 1; }
done
echo "compose smoke test passed: every tier stops cleanly"
