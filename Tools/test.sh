#!/usr/bin/env bash
# All tests that are built, in lanes side by side: tests of real servers mostly wait, so one lane alone leaves the processors idle.
# Within a lane tests run one after the other. Shown are suites and failures as they come; everything stands in build/tests.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=build/tests
program=.build/debug/serinPackageTests.xctest
rollouts='^IntegrationTests'
backups='^(BackupsTests|CommandLineTests|PostgresTests)'
rm -rf "$logs"
mkdir -p "$logs"

# lane NAME OPTION...: the tests that the options choose; fails when one fails or none was found.
lane() {
    name=$1
    shift
    "$program" --testing-library swift-testing --no-parallel "$@" >"$logs/$name.log" 2>&1 || return 1
    grep -qE 'Test run with [1-9][0-9]* tests? .*passed' "$logs/$name.log"
}

started=$SECONDS
for name in rollouts backups rest; do : >"$logs/$name.log"; done
tail -q -n +1 -F "$logs/rollouts.log" "$logs/backups.log" "$logs/rest.log" 2>/dev/null \
    > >(grep --line-buffered -E '✘|Suite .* passed|Test run with') &
follower=$!
lane rollouts --filter "$rollouts" & first=$!
lane backups --filter "$backups" & second=$!
lane rest --skip "$rollouts" --skip "$backups" & third=$!
failed=""
wait $first || failed="$failed rollouts"
wait $second || failed="$failed backups"
wait $third || failed="$failed rest"
kill $follower

for name in rollouts backups rest; do
    echo "$name: $(grep -E 'Test run with' "$logs/$name.log" | tail -1 || echo 'ended without a result')"
done
if [ -n "$failed" ]; then
    for name in $failed; do
        echo "--- what failed in $name (all of it: $logs/$name.log)"
        grep -E '✘' "$logs/$name.log" | head -40 || tail -20 "$logs/$name.log"
    done
    echo "tests: FAILED in$failed after $((SECONDS - started)) s"
    exit 1
fi
echo "tests: passed in $((SECONDS - started)) s"
