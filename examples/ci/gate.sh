#!/bin/sh
# The gate alone, with curl and jq, for runners that only reach the daemon's address: gate.sh ROLLOUT [VERSION]
#
# ROLLOUT is what the start answered with, or a service; then VERSION keeps an earlier release from opening the gate for this one.
#
#   SERIN_URL      https://serin.example.com:8443, or http://serin with SERIN_SOCKET
#   SERIN_TOKEN    a token of a viewer, or the pipeline's identity token; not needed over the socket
#   SERIN_SOCKET   the daemon's unix socket, in place of an address
#   GATE_TIMEOUT   seconds to wait (5400)
#
# Ends with 0 when it may go on, with 1 when it must stop, with 124 when it is not decided in time, with 75 when nobody answers.
set -eu
rollout=$1
version=${2:+&version=$(jq -rn --arg version "$2" '$version | @uri')}
url=${SERIN_URL:-http://serin}
end=$(($(date +%s) + ${GATE_TIMEOUT:-5400}))
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
failures=0

ask() {
    # The token stands in a header that curl reads from its standard input, never in the arguments.
    if [ -n "${SERIN_SOCKET:-}" ]; then
        curl -sS --max-time 60 --unix-socket "$SERIN_SOCKET" -o "$answer" -w '%{http_code}' "$1"
    else
        printf 'Authorization: Bearer %s' "$SERIN_TOKEN" | curl -sS --max-time 60 -H @- -o "$answer" -w '%{http_code}' "$1"
    fi
}

while [ "$(date +%s)" -lt "$end" ]; do
    code=$(ask "$url/v1/rollouts/$rollout/gate?wait=30s$version") || code=000
    case $code in
    200)
        echo "go on: $(jq -r '.rollout.state' "$answer")"
        exit 0
        ;;
    202) failures=0 ;;
    409)
        cause=$(jq -r 'if .rollout then "\(.rollout.state): \(.rollout.cause)" else .detail end' "$answer")
        echo "stop: $cause"
        # What GitHub Actions shows at the run, on one line and without commands of its own.
        [ "${GITHUB_ACTIONS:-}" != true ] || printf '::error title=Serin::%s\n' "$(printf '%s' "$cause" | tr -d '\n\r' | sed 's/%/%25/g')"
        exit 1
        ;;
    *)
        failures=$((failures + 1))
        echo "no answer ($code)" >&2
        [ "$failures" -lt 10 ] || exit 75
        sleep 3
        ;;
    esac
done
echo "not decided in time; the rollout goes on"
exit 124
