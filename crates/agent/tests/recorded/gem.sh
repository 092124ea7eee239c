#!/bin/sh
# gem.sh DIR: gems, and a repository of them in DIR/index, which the file .gemrc names. For a throw-away copy of a machine.
set -e
W=$1
mkdir -p "$W/src/bin" "$W/index/gems"
cd "$W/src"
printf '#!/usr/bin/env ruby\nputs "zg"\n' > bin/zg-run
make() { # name, version, more of its specification
    cat > "$1.gemspec" <<SPEC
Gem::Specification.new do |s|
  s.name = "$1"; s.version = "$2"; s.summary = "$1"; s.authors = ["z"]; s.files = ["bin/zg-run"]; s.license = "MIT"
  s.homepage = "http://127.0.0.1/"; s.description = "gem $1"
  $3
end
SPEC
    gem build --silent "$1.gemspec" > /dev/null 2>&1
    mv "$1-$2.gem" "$W/index/gems/"
}
make zg-one 1.0.0
make zg-one 1.1.0
make zg-one 2.0.0.pre
make zg-one-more 1.0.0
make zg-two 1.0.0 's.add_dependency "zg-one", "< 1.1"'
make zg-run 1.0.0 's.bindir = "bin"; s.executables = ["zg-run"]'
cd "$W/index" && gem generate_index --silent > /dev/null 2>&1
mkdir -p "$W/bin"
printf -- '---\n:sources:\n- file://%s/index\n' "$W" > "$HOME/.gemrc"
