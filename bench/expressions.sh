#!/bin/bash
# How quickly templates are compiled and rendered.

set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --quiet --release -p theseus-expressions --example speed
