#!/usr/bin/env bash
# Builds what the demonstration needs and plays it. Everything it starts ends with it; build/demo stays to be read.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
echo "building (release): the first time about two minutes on two cores"
# The demonstration's product brings the two programs that it runs: one build keeps all cores busy.
if ! swift build -c release -j "${JOBS:-2}" --product serin-demo >build/release.log 2>&1; then
    grep 'error:' build/release.log >&2 || tail -20 build/release.log >&2
    echo "demo: the build failed; its whole output is in build/release.log" >&2
    exit 1
fi
chmod +x examples/demo/fleet.sh
exec .build/release/serin-demo "$PWD/.build/release/serin" "$PWD/.build/release/checkout-service" "$PWD/examples/demo/fleet.sh" "$PWD/build/demo"
