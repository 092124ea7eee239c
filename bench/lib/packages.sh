# Packages of this machine's own sources for hosts that have no way out: downloaded once, put in as a tar archive.

export DEBIAN_FRONTEND=noninteractive

# debs CACHE PACKAGE...: what these need beyond the base, as $WORK/debs.tar; ends the measurement where there is no archive.
debs() {
    local cache apt
    cache=$(dirname "$(dirname "$ORACLE")")/$1
    shift
    mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$cache/none/partial"
    apt=(apt-get -qq -o Debug::NoLocking=1 -o Dir::State::lists="$cache/lists" -o Dir::Cache::archives="$cache/archives"
        -o Dir::State::status="$BASE/var/lib/dpkg/status" -o APT::Keep-Downloaded-Packages=true)
    if ! { "${apt[@]}" update && "${apt[@]}" -y --no-install-recommends --download-only install "$@"; } >"$WORK/download" 2>&1; then
        tail -n 3 "$WORK/download"
        echo "SKIPPED $(basename "$0" .sh): packages cannot be downloaded here"
        exit 77
    fi
    # Only what this set needs (what is there already is not listed).
    "${apt[@]}" -o Dir::Cache::archives="$cache/none" -y --no-install-recommends --print-uris install "$@" |
        sed "s/^'[^']*' \([^ ]*\) .*/\1/" >"$WORK/needed"
    (cd "$cache/archives" && tar -cf "$WORK/debs.tar" -T "$WORK/needed")
    echo "$(wc -l <"$WORK/needed") packages, $(du -h "$WORK/debs.tar" | cut -f 1)"
}

# unpack HOST: puts them into /var/debs of a host.
unpack() {
    "$THESEUS" lab exec "$1" -- sh -c 'mkdir /var/debs && tar -x -C /var/debs' <"$WORK/debs.tar"
}
