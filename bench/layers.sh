#!/bin/bash
# What a layer costs: 1,000 files through it against the same written durably by hand (aim: at most 1.3x); no change: nothing.
# PLACE is where the files are written (a real disk, not memory).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
place=${PLACE:-/var/tmp}
cd "$root"
cargo build --quiet --release --package theseus-layer --example cost
target=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
"$target/release/examples/cost" "$place" "${ROUNDS:-7}" | awk -F'\t' '
    $1 == "nothing" { printf "a run that changes nothing: %.1f microseconds, nothing written\n", $2 * 1e6; next }
    { printf "1,000 files %s: by hand %s s, with a layer %s s: %sx (aim: 1.3x)\n", $1, $2, $3, $4; if ($4 > 1.3) missed = 1 }
    END { exit missed }'
