#!/bin/sh
# The steps of a release, the same for every pipeline: release.sh backup|migrations|start|gate|halt
# It runs where the daemon's unix socket can be opened: on a runner of your own, as a member of the socket group that may start. The
# daemon does everything, so the runner needs none of its secrets and none of its files.
#
#   POLICY      the policy's file                          VERSION, PREVIOUS   what is released, and what it is compared with
#   PROJECT     of a backup plan that the daemon has       MIGRATIONS          a folder of migrations; empty: none
#               loaded; empty: no backup                   SERVICE             what `service:` in the policy says, if not read there
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

timeout=$(seconds GATE_TIMEOUT "${GATE_TIMEOUT:-90m}") || exit 2
patience=$(seconds GATE_AWAY "${GATE_AWAY:-5m}") || exit 2
reports=${REPORTS:-reports}
mkdir -p "$reports"
id_file=$reports/rollout.id

# Asks again for as long as the daemon may be away: one that starts anew answers soon.
insist() {
    end=$(($(date +%s) + patience))
    while :; do
        code=0
        "$@" || code=$?
        [ "$code" = 75 ] && [ "$(date +%s)" -lt "$end" ] || return "$code"
        sleep 2
    done
}

start() {
    # A start whose answer was lost, or of a pipeline that is run again, is taken up.
    serin start "$POLICY" --version="$VERSION" --previous="$PREVIOUS" --join >"$id_file.new" || return $?
    mv "$id_file.new" "$id_file"
}

case "${1:-}" in
backup)
    # The first step: what an earlier run left in this folder is not this one's.
    rm -f "$id_file" "$reports/migrations.xml" "$reports/rollout.xml"
    if [ -z "${PROJECT:-}" ]; then
        echo "PROJECT is empty, so no backup is made here"
        exit 0
    fi
    serin backup request "$PROJECT"
    ;;
migrations)
    # What every statement locks, rewrites and loses. In GitHub Actions findings become annotations of the changed lines; GitLab
    # reads the second report.
    if [ -n "${MIGRATIONS:-}" ]; then
        serin migrate lint "$MIGRATIONS" --junit "$reports/migrations.xml" --code-quality "$reports/code-quality.json"
    else
        echo "MIGRATIONS is empty, so none are judged here"
    fi
    # Is the policy right, and does everything that it names answer the daemon? It has secrets and files that the runner has not.
    serin check "$POLICY" --version="$VERSION" --previous="$PREVIOUS" --daemon
    # A dry run: what would be migrated, what would happen, and how long the evidence takes.
    serin plan "$POLICY" --version="$VERSION" --previous="$PREVIOUS" --daemon
    ;;
start)
    rm -f "$id_file"
    insist start || exit $?
    cat "$id_file"
    ;;
gate)
    # Ends with the rollout's own exit code: 0 goes on, 3 failed and is rolled back, 4 halted, 5 inconclusive, 6 act now, 124 still
    # going on, 75 nobody answers, not even after GATE_AWAY. In GitHub Actions it writes the step summary, outputs and an annotation
    # as well.
    if [ ! -s "$id_file" ]; then
        echo "release.sh: no rollout is noted in $id_file: run release.sh start first" >&2
        exit 2
    fi
    serin wait "$(cat "$id_file")" --timeout "${timeout}s" --away "${patience}s" --junit "$reports/rollout.xml"
    ;;
halt)
    # For a pipeline that is cancelled: the rollout would go on without it. One that was cancelled during the start has noted none.
    name=$(cat "$id_file" 2>/dev/null) || name=
    name=${name:-${SERVICE:-$(sed -n 's/^service: *["'\'']\{0,1\}\([A-Za-z0-9-]*\).*/\1/p' "$POLICY" | head -n 1)}}
    code=0
    insist serin halt "$name" --if-version="$VERSION" --reason "the pipeline was cancelled" || code=$?
    [ "$code" = 0 ] || echo "release.sh: NOT HALTED, the release may go on: serin halt $name" >&2
    exit "$code"
    ;;
*)
    echo "release.sh: expected backup, migrations, start, gate or halt, found '${1:-}'" >&2
    exit 2
    ;;
esac
