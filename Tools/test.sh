#!/usr/bin/env bash
# All tests that are built, in lanes side by side: tests of real servers mostly wait, so one lane alone leaves the processors idle.
# Within a lane tests run one after the other. Shown are suites and failures as they come; everything stands in build/tests.
# usage: test.sh [TARGET...]   Targets of make, run one after the other beside the lanes with what processor time these leave.
# AGAIN=1: what failed beside the others is run once more alone before it is believed; both stand in the output.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=build/tests
program=.build/debug/serinPackageTests.xctest
rm -rf "$logs"
mkdir -p "$logs"

# Debian's pg_dump and the like are scripts that find the server's version first, which takes longer than many a dump.
PATH="$(pg_config --bindir):$PATH"
export PATH

# What each lane runs, by the beginning of the tests' names; `rest` is everything else.
declare -A lanes=(
    [changes]='^IntegrationTests\.Integration/(Migration|BackupGates)'
    [rollouts]='^IntegrationTests\.Integration/(?!Migration|BackupGates)'
    [restores]='^IntegrationTests\.(Backup|Cluster)'
    [programs]='^IntegrationTests\.(?!Integration|Backup|Cluster)'
    [backups]='^BackupsTests\.(?!RoundTrip)'
    [migrations]='^(MigrationToolsTests\.|BackupsTests\.RoundTrip)'
)

# These have no deadlines of seconds, so they take what the others leave.
patient=" backups migrations rest "

# lane NAME OPTION...: the tests that the options choose; fails when one fails or none was found.
lane() {
    local log="$logs/$1.log" nice=0
    if [[ $patient == *" $1 "* ]]; then nice=10; fi
    shift
    nice -n "$nice" "$program" --testing-library swift-testing --no-parallel "$@" >"$log" 2>&1 || return 1
    grep -qE 'Test run with [1-9][0-9]* tests? .*passed' "$log"
}

# beside TARGET...: as a lane, stopped by the first that fails.
beside() {
    local target
    for target; do nice -n 19 make --no-print-directory "$target" >"$logs/$target.log" 2>&1 || return 1; done
}

started=$SECONDS
beside "$@" &
beside=$!
names="${!lanes[*]} rest"
rest=()
for name in $names; do : >"$logs/$name.log"; done
tail -q -n +1 -F "$logs"/*.log 2>/dev/null > >(grep --line-buffered -E '✘|Suite .* passed|Test run with') &
follower=$!
declare -A jobs
for name in "${!lanes[@]}"; do
    lane "$name" --filter "${lanes[$name]}" &
    jobs[$name]=$!
    rest+=(--skip "${lanes[$name]}")
done
lane rest "${rest[@]}" &
jobs[rest]=$!
failed=""
for name in $names; do wait "${jobs[$name]}" || failed="$failed $name"; done
kill $follower
targets=passed
wait $beside || targets=FAILED

for name in $names; do
    echo "$name: $(grep -E 'Test run with' "$logs/$name.log" | tail -1 || echo 'ended without a result')"
done
for name; do
    echo "$name: $(tail -1 "$logs/$name.log" 2>/dev/null || echo 'was not run')"
done
if [ $targets = FAILED ]; then
    for name; do
        if [ -e "$logs/$name.log" ]; then last=$name; fi
    done
    echo "--- the end of make $last"
    tail -40 "$logs/$last.log"
    echo "tests: FAILED in make $last after $((SECONDS - started)) s"
    exit 1
fi
if [ -n "$failed" ]; then
    for name in $failed; do
        echo "--- what failed in $name (all of it: $logs/$name.log)"
        grep -E '✘' "$logs/$name.log" | head -40 || tail -20 "$logs/$name.log"
    done
    # A lane that did not come to its end has no failure that could be looked at alone.
    for name in $failed; do
        if [ -z "${AGAIN:-}" ] || ! grep -q 'Test run with' "$logs/$name.log"; then
            echo "tests: FAILED in$failed after $((SECONDS - started)) s"
            exit 1
        fi
    done
    suspects=$(grep -ahoE '✘[^ ]* Test [A-Za-z0-9_]+\(' "$logs"/*.log | sed -E 's/.* ([A-Za-z0-9_]+)\($/\1/' | sort -u | paste -sd '|')
    echo "tests: once more, alone: $suspects"
    if [ -z "$suspects" ] || ! lane again --filter "/($suspects)\("; then
        grep -aE '✘' "$logs/again.log" | head -40 || true
        echo "tests: FAILED twice after $((SECONDS - started)) s"
        exit 1
    fi
    grep -aE 'Test run with' "$logs/again.log"
fi
echo "tests: passed in $((SECONDS - started)) s"
