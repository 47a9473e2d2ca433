#!/bin/sh
# What takes longer than a test run may: rollouts killed at hundreds of journal writes, and every test of whole rollouts again and
# again. SOAK_ROUNDS (10) multiplies both.
set -eu
cd "$(dirname "$0")/.."
rounds="${SOAK_ROUNDS:-10}"
swift build --build-tests -j "${JOBS:-2}"
SERIN_CRASH_ROUNDS=$((rounds * 2)) swift test --skip-build --filter 'IntegrationTests.*Crashes'
round=1
while [ "$round" -le "$rounds" ]; do
    echo "soak: round $round of $rounds"
    swift test --skip-build --filter IntegrationTests
    round=$((round + 1))
done
echo "soak: done"
