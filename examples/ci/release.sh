#!/bin/sh
# The steps of a release, the same for every pipeline: release.sh backup|migrations|start|gate|halt
# It runs where the daemon's unix socket can be opened: on a runner of your own, as a member of the socket group that may start.
#
#   POLICY      the policy's file                          VERSION, PREVIOUS   what is released, and what it is compared with
#   PLAN        a backup plan's file; empty: no backup     MIGRATIONS          a folder of migrations; empty: none
#   REPORTS     where JUnit reports go (./reports)         GATE_TIMEOUT        how long to wait (90m)
set -eu
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
    # going on. In GitHub Actions it writes the step summary, outputs and an annotation as well.
    serin wait "$(cat "$id_file")" --timeout "${GATE_TIMEOUT:-90m}" --junit "$reports/rollout.xml"
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
