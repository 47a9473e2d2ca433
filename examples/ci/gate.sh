#!/bin/sh
# The gate alone, with curl and jq, for runners that only reach the daemon's address: gate.sh ROLLOUT [VERSION]
#
# ROLLOUT is what the start answered with, or a service; then VERSION keeps an earlier release from opening the gate for this one.
#
#   SERIN_URL      https://serin.example.com:8443, or http://serin with SERIN_SOCKET
#   SERIN_TOKEN    a token of a viewer, or the pipeline's identity token; not needed over the socket
#   SERIN_AUDIENCE in GitHub Actions with `id-token: write`, in place of SERIN_TOKEN: for whom identity tokens are (serin); they live
#                  for five minutes, so each call has one of its own
#   SERIN_SOCKET   the daemon's unix socket, in place of an address
#   GATE_TIMEOUT   how long to wait (90m); also GATE_AWAY, how long nobody may answer (5m): 90m, 2h, 300s, or a number of seconds
#
# Ends with 0 when it may go on, with 1 when it must stop, with 7 when the daemon does not let this caller in, with 2 when the
# question is wrong or there is no such rollout, with 124 when it is not decided in time, with 75 when nobody answers.
# It goes on for nothing but a gate's own word: what a proxy or a login page says with 200 is no answer.
# A trace of this script would show the token.
set +x -eu
for program in curl jq; do
    command -v "$program" >/dev/null || {
        echo "gate.sh: expected $program to be installed here" >&2
        exit 2
    }
done
if [ $# -lt 1 ] || [ -z "$1" ]; then
    echo "gate.sh: expected a rollout or a service: gate.sh ROLLOUT [VERSION]" >&2
    exit 2
fi
rollout=$1
released=${2:-}
version=${released:+&version=$(jq -rn --arg version "$released" '$version | @uri')}
url=${SERIN_URL:-http://serin}
url=${url%/}

# A length of time in seconds.
seconds() {
    number=${2%[smh]}
    case $number in
    '' | *[!0-9]* | ???????*)
        echo "gate.sh: expected a length of time like 90m, 2h or 300s in $1, found '$2'" >&2
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
end=$(($(date +%s) + timeout))
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
heard=$(date +%s)
if [ -z "${SERIN_SOCKET:-}${SERIN_TOKEN:-}${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-}" ]; then
    echo "gate.sh: expected SERIN_SOCKET, SERIN_TOKEN, or GitHub's identity tokens (permissions: id-token: write)" >&2
    exit 2
fi

# The seconds that are left, $1 at most.
left() {
    left=$((end - $(date +%s)))
    echo $((left < 0 ? 0 : left < $1 ? left : $1))
}

# Tokens stand in a header that curl reads from its standard input, never in the arguments.
token() {
    if [ -n "${SERIN_TOKEN:-}" ]; then
        printf %s "$SERIN_TOKEN"
    else
        printf 'Authorization: Bearer %s' "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" |
            curl -sS --fail --max-time $(($(left 29) + 1)) -H @- "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=${SERIN_AUDIENCE:-serin}" | jq -er .value
    fi
}

# A call ends one second after what is left, so that the answer to a wait until then is heard.
ask() {
    limit=$(($(left 59) + 1))
    if [ -n "${SERIN_SOCKET:-}" ]; then
        curl -sS --max-time "$limit" --unix-socket "$SERIN_SOCKET" -o "$answer" -w '%{http_code}' "$1"
    else
        bearer=$(token) && [ -n "$bearer" ] || return 1
        limit=$(($(left 59) + 1))
        printf 'Authorization: Bearer %s' "$bearer" | curl -sS --max-time "$limit" -H @- -o "$answer" -w '%{http_code}' "$1"
    fi
}

# What the gate decided; nothing unless it is the word of a gate, about the version that is released.
decision() {
    jq -ers --arg version "$released" 'select(length == 1) | .[0] | select(.schema == "serin.dev/gate/v1"
        and ($version == "" or .rollout.version == $version)) | .decision' "$answer" 2>/dev/null || echo none
}

# Why the daemon did not do it; a proxy in between says nothing that can be read.
detail() { jq -r '.detail // "no reason was given"' "$answer" 2>/dev/null || echo "no reason was given"; }

# Ends, with what GitHub Actions shows at the run, on one line and without commands of its own: what people wrote may be in it.
close() {
    line=$(printf '%s' "$2" | tr -d '\n\r')
    printf '%s\n' "$line"
    [ "${GITHUB_ACTIONS:-}" != true ] || printf '::%s title=Serin::%s\n' "$1" "$(printf '%s' "$line" | sed 's/%/%25/g')"
    exit "$3"
}
stop() { close error "stop: $1" "$2"; }

while [ "$(date +%s)" -lt "$end" ]; do
    : >"$answer"
    code=$(ask "$url/v1/rollouts/$rollout/gate?wait=$(left 30)s$version") || code=000
    case $code:$(decision) in
    200:promote)
        printf 'go on: %s\n' "$(jq -r '.rollout.state' "$answer" | tr -d '\n\r')"
        exit 0
        ;;
    202:undecided) heard=$(date +%s) ;;
    409:stop) stop "$(jq -r '"\(.rollout.state): \(.rollout.cause)"' "$answer")" 1 ;;
    # On doubt a pipeline does not go on.
    409:*) stop "refused (409): $(detail)" 1 ;;
    # Asking again would be answered the same.
    401:* | 403:*) stop "refused ($code): $(detail)" 7 ;;
    400:* | 404:* | 422:*) stop "wrong ($code): $(detail)" 2 ;;
    *)
        echo "no answer of a gate ($code)" >&2
        [ $(($(date +%s) - heard)) -lt "$patience" ] || close error "nobody answers ($code); the rollout may still run" 75
        sleep "$(left 3)"
        ;;
    esac
done
close warning "not decided in time; the rollout goes on" 124
