#!/bin/bash
# How quickly templates are compiled and rendered, beside minijinja and Python's Jinja2 (of $ORACLE).

set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release -p theseus-expressions --example speed
speed=${CARGO_TARGET_DIR:-target}/release/examples/speed
"$speed"
[ -n "${ORACLE:-}" ] || { echo "SKIPPED jinja2: ORACLE is not set (cargo xtask bench sets it)"; exit 0; }
"$speed" template | "$ORACLE/python" -c '
import sys, time
import jinja2
template = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True).from_string(sys.stdin.read())
sites = [dict(name=n, port=p) for n, p in (("alpha", 8080), ("beta", 8081), ("gamma", 8082))]
variables = dict(title="A title", workers=4, tls=True, sites=sites)
count, start = 50000, time.perf_counter()
for _ in range(count):
    template.render(variables)
print(f"the same by Jinja2: {count / (time.perf_counter() - start):.0f}/s")
'
