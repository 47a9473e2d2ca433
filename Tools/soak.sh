#!/bin/sh
# What takes longer than a test run may: rollouts killed at hundreds of journal writes, and every test of whole rollouts again and
# again. SOAK_ROUNDS (10) multiplies both; one round takes some minutes. A failure does not end it: the logs of what failed stay in
# build/soak. Then backups: hundreds of small ones and a hundred of 300 MB, each restored and compared, and kills at every single call. Then rollouts with migrations, killed at every write, and every test of migrations with every tool.
set -eu
cd "$(dirname "$0")/.."
rounds="${SOAK_ROUNDS:-10}"
logs=build/soak
rm -rf "$logs"
mkdir -p "$logs"
swift build --build-tests -j "${JOBS:-2}"
failed=0

# soak TITLE LOG FILTER
soak() {
    log="$logs/$2.log"
    start=$(date +%s)
    if ! swift test --skip-build --no-parallel --filter "$3" >"$log" 2>&1; then
        failed=$((failed + 1))
        grep '✘' "$log" | head -20 || true
        echo "soak: $1 FAILED after $(($(date +%s) - start)) s, see $log"
    elif ! grep -qE 'Test run with [1-9][0-9]* tests?' "$log"; then
        echo "soak: no test is named $3, see $log" >&2
        exit 1
    else
        rm "$log"
        echo "soak: $1 passed in $(($(date +%s) - start)) s"
    fi
}

SERIN_CRASH_ROUNDS=$((rounds * 2)) soak "rollouts killed at their writes, $((rounds * 2)) rounds" kills 'IntegrationTests.*Crashes'
round=1
while [ "$round" -le "$rounds" ]; do
    soak "whole rollouts, round $round of $rounds" "rollouts-$round" IntegrationTests
    round=$((round + 1))
done
SERIN_BACKUP_ROUNDS=$((rounds * 50)) soak "small backups, $((rounds * 50)) rounds" backups 'BackupsTests.RoundTripTests'
SERIN_BACKUP_ROUNDS=$((rounds * 10)) SERIN_BACKUP_SCALE=20 soak "backups of 300 MB, $((rounds * 10)) rounds" large-backups 'BackupsTests.RoundTripTests'
SERIN_KILL_STRIDE=1 soak "backups killed at every call" backup-kills 'IntegrationTests.BackupCrashTests'
SERIN_KILL_STRIDE=1 soak "rollouts with migrations killed at every write" migration-kills 'IntegrationTests.*MigrationCrashes'
SERIN_ALL_TOOLS=1 soak "migrations by every tool" migrations MigrationToolsTests
if [ "$failed" -gt 0 ]; then
    echo "soak: $failed of $((rounds + 6)) runs failed"
    exit 1
fi
echo "soak: done"
