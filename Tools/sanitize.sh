#!/usr/bin/env bash
# The tests of everything but whole rollouts, which have deadlines that a watched program does not always keep, watched by
# ThreadSanitizer and then by AddressSanitizer, which finds leaks as well: sanitize.sh [thread|address [TARGET...]], targets named as
# their folders in Tests. A report, or a test that fails, ends it with 1. Each target is a run of its own, so that one that dies hides
# no other. Logs and reports stay in build/sanitize.
set -euo pipefail
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
export SWIFT_BACKTRACE=enable=no
# Debian's pg_dump and the like are scripts that find the server's version first, which takes longer than many a dump.
PATH="$(pg_config --bindir):$PATH"
export PATH

# watch thread|address TARGET...: builds, runs, prints a line a target and a summary.
watch() {
    local kind=$1 started=$SECONDS tests=0 failed=() found=0
    shift
    local scratch=build/${kind:0:1}san logs=build/sanitize/$kind options=()
    # ThreadSanitizer does not see the locks of the standard library.
    if [ "$kind" = thread ]; then options=(-Xswiftc -DSERIN_TSAN); fi
    "$swift" build -j "${JOBS:-2}" --build-tests --sanitize="$kind" --scratch-path "$scratch" "${options[@]}" || return 1
    rm -rf "$logs"
    mkdir -p "$logs"
    # What only looks like a leak: Swift marks some pointers in bits in which the sanitizer expects none, so what globals hold is not
    # found (whatever is made once). And what is Foundation's: it forgets its buffer when a file of /proc is empty.
    printf 'leak:%s\n' once_slow readBytesFromFile >"$logs/leaks"
    for target; do
        local log=$logs/$target.log report=$PWD/$logs/$target.report begun=$SECONDS result=passed reports
        # A report goes into a file of its process: programs that the tests start write them too.
        TSAN_OPTIONS="log_path=$report" ASAN_OPTIONS="log_path=$report:detect_leaks=1" \
            LSAN_OPTIONS="suppressions=$PWD/$logs/leaks:print_suppressions=0" \
            "$scratch/debug/serinPackageTests.xctest" --testing-library swift-testing --no-parallel \
            --filter "^$target\\." >"$log" 2>&1 || result=FAILED
        reports=$(cat "$report".* 2>/dev/null | grep -ca '^SUMMARY: ' || true)
        grep -qaE 'Test run with [1-9][0-9]* tests? .*passed' "$log" || result=FAILED
        if compgen -G "$report.*" >/dev/null; then result=FAILED; fi
        local count
        count=$(grep -aoE 'Test run with [0-9]+' "$log" | tail -1 | grep -oE '[0-9]+' || echo 0)
        tests=$((tests + count))
        found=$((found + reports))
        echo "sanitize: $kind: $target $result: $count tests, $reports reports, $((SECONDS - begun)) s"
        if [ $result = FAILED ]; then
            failed+=("$target")
            grep -aE '✘' "$log" | head -20 || tail -5 "$log"
            cat "$report".* 2>/dev/null | grep -aE '^(SUMMARY|==[0-9]+==ERROR|WARNING): ?' | sort | uniq -c || true
        fi
    done
    echo "sanitize: $kind: $tests tests, $found reports, $((SECONDS - started)) s; failed: ${failed[*]:-none}"
    [ ${#failed[@]} -eq 0 ]
}

kinds=(thread address)
if [ $# -gt 0 ]; then
    if [ "$1" != thread ] && [ "$1" != address ]; then
        echo "sanitize: there is no $1: thread or address, and then names of folders in Tests" >&2
        exit 2
    fi
    kinds=("$1")
    shift
fi
targets=("$@")
if [ $# -eq 0 ]; then
    for folder in Tests/*Tests; do
        if [ "$folder" != Tests/IntegrationTests ]; then targets+=("${folder#Tests/}"); fi
    done
fi
ended=0
for kind in "${kinds[@]}"; do watch "$kind" "${targets[@]}" || ended=1; done
exit $ended
