#!/usr/bin/env bash
# Builds what the demonstration needs and plays it. Everything it starts ends with it; build/demo stays to be read.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "building (release)"
for product in serin checkout-service serin-demo; do
    swift build -c release -j "${JOBS:-2}" --product $product 2>&1 | grep -E 'error|warning|^Build' || true
done
chmod +x examples/demo/fleet.sh
mkdir -p build
exec .build/release/serin-demo "$PWD/.build/release/serin" "$PWD/.build/release/checkout-service" "$PWD/examples/demo/fleet.sh" "$PWD/build/demo"
