#!/bin/sh
# Gives a version to every instance of a cohort: ends the old processes, starts new ones on the same ports, waits until they answer.
#   fleet.sh canary|control VERSION
set -eu
. "$(dirname "$0")/fleet.conf"
cohort=$1
version=$2
case $cohort in
canary) ports=$CANARY_PORTS ;;
control) ports=$CONTROL_PORTS ;;
*) echo "fleet.sh: no cohort '$cohort'" >&2; exit 2 ;;
esac
# What is wrong with a version shows in its name, for the demonstration.
flaws=""
case $version in
*-failing) flaws="--fail-permille 30" ;;
*-locking) flaws="--hold-locks" ;;
esac
for port in $ports; do
    pidfile=$RUN/$port.pid
    if [ -e "$pidfile" ]; then
        pid=$(cat "$pidfile")
        kill "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    fi
    "$SERVICE" --port "$port" --version "$version" --database "$DATABASE" --owner "$OWNER" $flaws >>"$RUN/$port.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
done
for port in $ports; do
    tries=0
    until curl -fs -o /dev/null --max-time 2 "http://127.0.0.1:$port/health"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { echo "fleet.sh: port $port does not answer" >&2; exit 1; }
        sleep 0.1
    done
done
# The balancer looks at each instance every quarter of a second.
sleep 1
echo "$cohort runs $version"
