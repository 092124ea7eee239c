#!/bin/bash
# The 40-task project over a long wire when nothing is to be changed: what it costs beyond the connection, in round trips.
# Usage: bench/delay.sh [MILLISECONDS OF A ROUND TRIP] (default: 50)

source "$(dirname "$0")/lib/common.sh"
TRIP=${1:-50}
PROJECT=("$BENCH/forty/site.yml" -i "$WORK/hosts.ini")

hosts 1
for _ in 1 2; do
    measure "$THESEUS" apply "${PROJECT[@]}" --output ansible
    [ "$OUTCOME" = 0 ] || { cat "$WORK/output" "$WORK/errors"; exit 1; }
done
NEAR=$WALL
measure "${FLOOR[@]}"
NEARFLOOR=$WALL
(cd "$BENCH/.." && cargo run --quiet --release -p theseus-lab --example lab -- delay "${NAMES[0]}" "$TRIP")
FAR=() FARFLOOR=()
for _ in 1 2 3; do
    measure "${FLOOR[@]}"
    FARFLOOR+=("$WALL")
    measure "$THESEUS" apply "${PROJECT[@]}" --output ansible -vvv
    grep -q 'changed=0 *unreachable=0 *failed=0' "$WORK/output" || { cat "$WORK/output" "$WORK/errors"; exit 1; }
    FAR+=("$WALL")
done
FAR=$(median "${FAR[@]}") FARFLOOR=$(median "${FARFLOOR[@]}")
# What the wire adds is the same command's time with it less its time without.
ALL=$(ratio $((FAR - NEAR)) $((TRIP * 1000))) CONNECTION=$(ratio $((FARFLOOR - NEARFLOOR)) $((TRIP * 1000)))
BEYOND=$(((FAR - NEAR - FARFLOOR + NEARFLOOR + TRIP * 500) / (TRIP * 1000)))
echo "$TRIP ms a round trip, 40 tasks, nothing to change"
echo "Theseus:        $(seconds "$FAR") s, without the wire $(seconds "$NEAR") s: $ALL round trips in all, the connection's own included"
echo "ssh host true:  $(seconds "$FARFLOOR") s, without the wire $(seconds "$NEARFLOOR") s: $CONNECTION round trips"
echo "Theseus counts: $(cat "$WORK/output" "$WORK/errors" | grep -o 'round trips: .*' || echo nothing)"
if [ "$BEYOND" -le 10 ]; then
    echo "reached  at most 10 round trips for the tasks: $BEYOND beyond a connection by OpenSSH"
else
    echo "MISSED   at most 10 round trips for the tasks: $BEYOND beyond a connection by OpenSSH"
    exit 1
fi
