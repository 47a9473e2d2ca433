#!/usr/bin/env bash
# Builds what the demonstration needs and plays it. Everything it starts ends with it; build/demo stays to be read.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
# Not for release: that takes three times as long, and the demonstration waits for nothing that is computed.
echo "building: the first time about a minute and a half on two cores"
# The demonstration's product brings the two programs that it runs: one build keeps all cores busy.
if ! swift build -j "${JOBS:-2}" --product serin-demo >build/demo.log 2>&1; then
    grep 'error:' build/demo.log >&2 || tail -20 build/demo.log >&2
    echo "demo: the build failed; its whole output is in build/demo.log" >&2
    exit 1
fi
chmod +x examples/demo/fleet.sh
exec .build/debug/serin-demo "$PWD/.build/debug/serin" "$PWD/.build/debug/checkout-service" "$PWD/examples/demo/fleet.sh" "$PWD/build/demo"
