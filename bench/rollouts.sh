#!/bin/bash
# How long a rollout takes beside its floor (waves x the time until a member is healthy and has stayed so), on lab
# hosts; and what each of 1,000 simulated members costs. Aims: at most 1.1x; a flat cost a member.
# Usage: bench/rollouts.sh [MEMBERS] [AT A TIME] (default: 6, 2)
set -euo pipefail
: "${THESEUS:?run this through cargo xtask bench}"
[ "$(id -u)" = 0 ] && command -v python3 >/dev/null || { echo "SKIPPED rollouts: needs root and python3"; exit 77; }
cd "$(dirname "$0")/.."
MEMBERS=${1:-6} WIDTH=${2:-2} READY=5
target=$(realpath "${CARGO_TARGET_DIR:-target}")
# Lab hosts see the machine's files, but not its temporary ones.
work=$(mktemp -d "$target/rollouts.XXXXXX")
fleet=bench$$
export THESEUS_STATE=$work/state
trap '(cd "$work" && "$THESEUS" fleet down "$fleet" >/dev/null 2>&1); rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cp tests/fleet/app.py "$work/"
# declare MEMBERS: the project's file.
declare_fleet() {
  cat >"$work/theseus.yml" <<END
fleets:
  $fleet:
    members: $1
    image: v1
    port: 8000
    lab: {start: "exec python3 $work/app.py"}
    health: {http: /health, min_ready: ${READY}s, timeout: 2s}
    attest: {http: /version}
    traffic: {proxy: "127.0.0.1:$((20000 + $$ % 10000))"}
    budget: {surge: $WIDTH, unavailable: 0}
END
}
now() { date +%s%N; }
fleet() { (cd "$work" && "$THESEUS" "$@" "$fleet" >"$work/said" 2>&1) || { cat "$work/said"; exit 1; }; }

# The floor of one wave: so many members at once, made by hand, until each has answered for as long as is asked for.
floor() {
  local begun; begun=$(now)
  (cd "$work" && "$THESEUS" lab up "$WIDTH" --name "$fleet" --small --output json) >"$work/up"
  local names addresses address name
  names=$(sed -n 's/.*"host":"\([^"]*\)".*/\1/p' "$work/up"); addresses=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$work/up")
  for name in $names; do
    "$THESEUS" lab exec "$name" -- sh -c "THESEUS_GENERATION=v0 PORT=8000 setsid python3 $work/app.py >/dev/null 2>&1 </dev/null &"
  done
  for address in $addresses; do
    until curl -fs -m 2 "http://$address:8000/health" >/dev/null; do sleep 0.02; done
  done
  FLOOR=$(($(now) - begun + READY * 1000000000))
  "$THESEUS" lab down $names
}
declare_fleet "$MEMBERS"
fleet fleet up
floors=()
for _ in 1 2 3; do floor; floors+=("$FLOOR"); done
FLOOR=$(printf '%s\n' "${floors[@]}" | sort -n | sed -n 2p)
waves=$(((MEMBERS + WIDTH - 1) / WIDTH))
times=()
for version in v2 v3 v4; do
  begun=$(now)
  fleet rollout start --to "$version"
  times+=($(($(now) - begun)))
done
TIME=$(printf '%s\n' "${times[@]}" | sort -n | sed -n 2p)
awk -v time="$TIME" -v floor="$FLOOR" -v waves="$waves" -v members="$MEMBERS" 'BEGIN {
  ratio = time / (waves * floor)
  printf "a rollout of %d lab hosts: %.1f s; its floor, %d waves of %.1f s each: %.1f s\n", members, time / 1e9, waves, floor / 1e9, waves * floor / 1e9
  printf "%s  at most 1.1 times the floor: %.2f\n", ratio <= 1.1 ? "reached" : "MISSED ", ratio
  exit ratio > 1.1
}' && reached=0 || reached=1
cargo run --quiet --release -p theseus-fleet --example scale || reached=1
exit "$reached"
