#!/bin/bash
# What a look costs, beside `aide --check` and a bare statx walk, on a copy of /usr; all in one run, page cache warm.
# Aims: a full scan at least 15x less CPU and 10x less wall time than aide; an incremental one at most 1.3x the walk's CPU.
# The walk is one thread that does nothing but getdents and statx. After that: 500 simulated hosts of 20,000 entries compared.
set -eu
command -v aide >/dev/null || { echo "needs aide (apt-get install aide)"; exit 77; }
cd "$(dirname "$0")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/theseus-drift.XXXXXX")
trap 'rm -rf "$work"' EXIT
cargo build --quiet --release --package theseus-drift --example scan
scan=${CARGO_TARGET_DIR:-target}/release/examples/scan
from=${1:-/usr}
echo "copying $from"
mkdir "$work/tree"; cp -a --reflink=auto "$from" "$work/tree/"
printf 'database_in=file:%s/aide.db\ndatabase_out=file:%s/aide.db.new\nreport_level=minimal\nR=p+u+g+s+m+c+i+n+ftype+sha256\n%s/tree R\n' "$work" "$work" "$work" >"$work/aide.conf"
aide --config="$work/aide.conf" --init >/dev/null 2>&1 || true; mv "$work/aide.db.new" "$work/aide.db"
sleep 3 # what is younger than a scan is read again

# NAME COMMAND…: prints and keeps wall and CPU seconds, the least of ROUNDS.
measure() {
  local name=$1 rounds=$2; shift 2
  for _ in $(seq "$rounds"); do
    /usr/bin/env bash -c 'TIMEFORMAT="%R %U %S"; { time "$@" >>'"$work"'/out 2>&1; } 2>&1' _ "$@" | tail -1
  done | awk '{cpu=$2+$3; if (NR==1||cpu<best) best=cpu; if (NR==1||$1<wall) wall=$1} END {print wall, best}' >"$work/$name"
  printf '%-12s %8.2f s wall %8.2f s CPU\n' "$name" $(cat "$work/$name")
}
measure walk 3 "$scan" "$work/tree" "$work/none" walk
measure full 3 "$scan" "$work/tree" "$work/manifest" full
sleep 3; "$scan" "$work/tree" "$work/manifest" full >/dev/null
measure again 3 "$scan" "$work/tree" "$work/manifest" again
measure aide 1 aide --config="$work/aide.conf" --check
grep -E '^(walk|full|again):' "$work/out" | sort -u -k1,1
awk -v w="$(cat "$work/walk")" -v f="$(cat "$work/full")" -v i="$(cat "$work/again")" -v a="$(cat "$work/aide")" 'BEGIN {
  split(w,W," "); split(f,F," "); split(i,I," "); split(a,A," ")
  printf "full scan: %.1fx less CPU and %.1fx less wall time than aide (aims 15, 10)\n", A[2]/F[2], A[1]/F[1]
  printf "incremental scan: %.2fx the CPU of the walk (aim 1.3)\n", I[2]/W[2]
  exit !(A[2]/F[2] >= 15 && A[1]/F[1] >= 10 && I[2]/W[2] <= 1.3)
}' || missed=1
cargo test --quiet --release --package theseus-drift --lib many_hosts -- --nocapture | grep compared
exit ${missed:-0}
