#!/usr/bin/env bash
# Installs the engines that the tests run against, and says what it did. Quick when all is there already.
#
#   tests/engines.sh              what is missing is named, with the way to get it; exit 0
#   tests/engines.sh --required   the same, but anything missing is a failure (exit 1)
#
# As root on Debian or Ubuntu: etcd from the system's own packages, and etcd 3.5 from Debian trixie, unpacked under
# .engines/ (the system itself stays on its release); Docker Engine; busybox and pasta; go, ruby, php and java. Elsewhere
# nothing is installed.
# ETCD_BINARY, ETCD35_BINARY and DOCKERD_BINARY may name binaries of your own.
set -uo pipefail
cd "$(dirname "$0")/.."

engines="$PWD/.engines"
required=""
missing=0
[ "${1:-}" = "--required" ] && required=yes

say() { echo "engines: $*"; }

miss() {
    missing=1
    say "$*"
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; }

version() { "$1" --version 2>/dev/null | sed -n 's/^etcd Version: //p'; }

system_etcd() {
    local etcd="${ETCD_BINARY:-etcd}"
    if command -v "$etcd" >/dev/null; then
        say "etcd $(version "$etcd") is there"
    elif [ -z "${ETCD_BINARY:-}" ] && can_install && install_packages etcd-server; then
        say "installed etcd $(version etcd) (etcd-server)"
    else
        miss "no etcd: the tests of the store over etcd are left out." \
            "Put an etcd binary on the PATH, or its path into ETCD_BINARY"
    fi
}

# The package may start a service of its own, which the tests do not need: policy-rc.d forbids that for the moment.
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

newer_etcd() {
    local etcd="${ETCD35_BINARY:-$engines/etcd35/usr/bin/etcd}"
    if [ -x "$etcd" ]; then
        say "etcd $(version "$etcd") is there ($etcd)"
    elif [ -z "${ETCD35_BINARY:-}" ] && can_install && unpack_from trixie etcd-server "$engines/etcd35"; then
        say "unpacked etcd $(version "$etcd") into $engines/etcd35"
    else
        miss "no etcd 3.5: the store is not tested against it." \
            "Unpack a release of etcd 3.5 and put the path of its binary into ETCD35_BINARY"
    fi
}

# unpack_from SUITE PACKAGE DIRECTORY: a package of another Debian suite, fetched from where this system gets its own.
unpack_from() {
    local apt="$engines/apt" part="$3.part"
    rm -rf "$apt" "$part"
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/archives/partial" "$part"
    sources_of "$1" >"$apt/sources/engines.list"
    [ -s "$apt/sources/engines.list" ] || return 1
    (
        cd "$apt" || exit 1
        private_apt "$apt" -qq update && private_apt "$apt" -qq download "$2" && dpkg-deb -x "$2"_*.deb "$part"
    ) >"$engines/apt.log" 2>&1 || return 1
    rm -rf "$3" "$apt"
    mv "$part" "$3"
}

private_apt() {
    local apt="$1"
    shift
    apt-get -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/sources" \
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt" -o APT::Sandbox::User=root "$@"
}

# The first Debian archive (no security or other side suite) that this system uses, as a source of SUITE.
sources_of() {
    local files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources)
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    cat "${files[@]}" 2>/dev/null | awk '
        $1 == "deb" { line = $0; sub(/\[[^]]*\]/, "", line); split(line, f, " "); print f[2] }
        $1 == "URIs:" { for (i = 2; i <= NF; i++) print $i }
    ' | grep -E '/debian/?$' | head -n 1 | while read -r uri; do
        echo "deb [signed-by=$keyring] $uri $1 main"
    done
}

# Not called busybox itself: `command -v` would find the function.
busybox_static() {
    if command -v busybox >/dev/null || { can_install && install_packages busybox-static; }; then
        say "busybox is there, of which tests make images"
    else
        miss "no busybox: the tests of images are left out. Install a static one (busybox-static)"
    fi
}

pasta_carrier() {
    if [ "$(id -u)" = 0 ] && [ ! -e /dev/net/tun ]; then
        mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200 2>/dev/null
    fi
    if command -v pasta >/dev/null || { can_install && install_packages passt; }; then
        say "pasta is there, which carries networks of jobs' own"
    else
        miss "no pasta: the tests of networks of jobs' own are left out. Install it (passt)"
    fi
}

docker_engine() {
    local dockerd="${DOCKERD_BINARY:-dockerd}"
    if [ "$(id -u)" != 0 ]; then
        miss "no Docker Engine: the tests start one of their own, which only root can. Run the tests as root"
    elif command -v "$dockerd" >/dev/null; then
        say "$("$dockerd" --version | sed 's/,.*//') is there"
    elif [ -z "${DOCKERD_BINARY:-}" ] && can_install && install_packages docker.io; then
        say "installed $(dockerd --version | sed 's/,.*//') (docker.io)"
    else
        miss "no Docker Engine: the tests of containers are left out." \
            "Put a dockerd on the PATH, or its path into DOCKERD_BINARY"
    fi
}

git_client() {
    if command -v git >/dev/null || { can_install && install_packages git; }; then
        say "$(git --version) is there"
    else
        miss "no git: the tests of git push are left out. Install it (git)"
    fi
}

# toolchain PROGRAM PACKAGE...: a language that a buildpack needs on the host.
toolchain() {
    local program="$1"
    shift
    if command -v "$program" >/dev/null || { can_install && install_packages "$@"; }; then
        say "$program is there, for the buildpack that needs it"
    else
        miss "no $program: the test of its buildpack is left out. Install it ($*)"
    fi
}

system_etcd
newer_etcd
git_client
docker_engine
busybox_static
pasta_carrier
toolchain go golang-go
toolchain bundle ruby bundler
toolchain composer php-cli composer
toolchain javac default-jdk-headless
[ "$missing" = 0 ] && say "all engines are there"
[ -z "$required" ] || exit "$missing"
exit 0
