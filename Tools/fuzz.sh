#!/usr/bin/env bash
# Runs a fuzzer for every parser that faces the network, or for those named: fuzz.sh [PARSER...]. FUZZ_SECONDS each, 60 by default.
# It begins with what is in Tests/Fuzz/Seeds. The inputs that it collects, and what breaks a parser, stay in build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v "$swift")")")")
SERIN_FUZZER=$(find "$toolchain/lib" -name "libclang_rt.fuzzer_no_main-$(uname -m).a" -print -quit)
[ -n "$SERIN_FUZZER" ] || { echo "fuzz: the toolchain at $toolchain has no libFuzzer" >&2; exit 2; }
export SERIN_FUZZER SWIFT_BACKTRACE=enable=no
scratch=build/fuzz/build
"$swift" build -c release -j "${JOBS:-2}" --product serin-fuzz --scratch-path "$scratch"
program=$scratch/release/serin-fuzz
parsers=("$@")
[ $# -gt 0 ] || mapfile -t parsers < <("$program" --list)
failed=()
for parser in "${parsers[@]}"; do
    corpus=build/fuzz/corpus/$parser
    mkdir -p "$corpus"
    seeds=("Tests/Fuzz/Seeds/$parser")
    [ "$parser" != request-policy ] || seeds=(policies backups)
    [ -d "${seeds[0]}" ] || seeds=()
    log=build/fuzz/$parser.log
    if "$program" "$parser" -max_total_time="${FUZZ_SECONDS:-60}" -max_len=8192 -timeout=5 -rss_limit_mb=1024 \
        -dict=Tests/Fuzz/words.dict -artifact_prefix="build/fuzz/$parser-" "$corpus" "${seeds[@]}" >"$log" 2>&1; then
        echo "fuzz: $parser: $(grep -E '^Done ' "$log" | tail -1)"
    else
        failed+=("$parser")
        echo "fuzz: $parser FAILED, see $log" >&2
        tail -5 "$log" >&2
    fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: failed: ${failed[*]}" >&2; exit 1; }
