#!/bin/sh
# The steps of a release, the same for every pipeline: release.sh backup|migrations|start|gate|halt
# It runs where the daemon's unix socket can be opened: on a runner of your own, as a member of the socket group that may start.
#
#   POLICY      the policy's file                          VERSION, PREVIOUS   what is released, and what it is compared with
#   PLAN        a backup plan's file; empty: no backup     MIGRATIONS          a folder of migrations; empty: none
#   REPORTS     where JUnit reports go (./reports)         GATE_TIMEOUT        how long to wait (90m); also GATE_AWAY, how long
#                                                          the daemon may be away (5m): 90m, 2h, 300s, or a number of seconds
set -eu

# A length of time in seconds.
seconds() {
    number=${2%[smh]}
    case $number in
    '' | *[!0-9]* | ???????*)
        echo "release.sh: expected a length of time like 90m, 2h or 300s in $1, found '$2'" >&2
        return 2
        ;;
    esac
    # Without leading zeros, which mean octal digits to a shell.
    number=$(expr "$number" + 0) || [ "$number" = 0 ]
    case $2 in
    *h) echo $((number * 3600)) ;;
    *m) echo $((number * 60)) ;;
    *) echo "$number" ;;
    esac
}

reports=${REPORTS:-reports}
mkdir -p "$reports"
id_file=$reports/rollout.id

case "${1:-}" in
backup)
    [ -n "${PLAN:-}" ] || exit 0
    serin backup create "$PLAN"
    ;;
migrations)
    # What every statement locks, rewrites and loses. In GitHub Actions findings become annotations of the changed lines.
    [ -z "${MIGRATIONS:-}" ] || serin migrate lint "$MIGRATIONS" --junit "$reports/migrations.xml"
    # Is the policy right, and does everything that it names answer?
    serin check "$POLICY" --version "$VERSION" --previous "$PREVIOUS"
    # A dry run: what would be migrated, what would happen, and how long the evidence takes.
    serin plan "$POLICY" --version "$VERSION" --previous "$PREVIOUS"
    ;;
start)
    serin start "$POLICY" --version "$VERSION" --previous "$PREVIOUS" >"$id_file"
    cat "$id_file"
    ;;
gate)
    # Ends with the rollout's own exit code: 0 goes on, 3 failed and is rolled back, 4 halted, 5 inconclusive, 6 act now, 124 still
    # going on, 75 nobody answers, not even after GATE_AWAY. In GitHub Actions it writes the step summary, outputs and an annotation
    # as well.
    timeout=$(seconds GATE_TIMEOUT "${GATE_TIMEOUT:-90m}") || exit 2
    patience=$(seconds GATE_AWAY "${GATE_AWAY:-5m}") || exit 2
    end=$(($(date +%s) + timeout))
    away=$(date +%s)
    while :; do
        begun=$(date +%s)
        left=$((end - begun))
        [ "$left" -gt 0 ] || left=1
        code=0
        serin wait "$(cat "$id_file")" --timeout "${left}s" --junit "$reports/rollout.xml" || code=$?
        [ "$code" = 75 ] || exit "$code"
        # A daemon that starts anew answers again soon. Whoever waited for more than a minute was answered meanwhile.
        now=$(date +%s)
        [ $((now - begun)) -le 60 ] || away=$now
        [ $((now - away)) -lt "$patience" ] && [ "$now" -lt "$end" ] || exit 75
        sleep 5
    done
    ;;
halt)
    # For a pipeline that is cancelled: the rollout would go on without it.
    [ ! -s "$id_file" ] || serin halt "$(cat "$id_file")" --reason "the pipeline was cancelled"
    ;;
*)
    echo "release.sh: expected backup, migrations, start, gate or halt, found '${1:-}'" >&2
    exit 2
    ;;
esac
