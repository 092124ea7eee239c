# What the measurements share: lab hosts with a real sshd, an inventory of them, and processor time by control group.
#
# THESEUS (the program) and ORACLE (the programs of ansible-core's virtual environment) are given by `cargo xtask bench`.
# BASE, the root file system of the hosts, is by default the plain Debian that `cargo xtask setup` makes beside the latter.

set -euo pipefail
: "${THESEUS:?run this through cargo xtask bench}" "${ORACLE:?run this through cargo xtask bench}"
export LC_ALL=C.UTF-8
BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BASE=${BASE:-$(dirname "$(dirname "$ORACLE")")/conformance-base}
WORK=$(mktemp -d)
NAMES=()
CGROUPS=$(findmnt -rnt cgroup2 -o TARGET | head -n 1)
OWN=$CGROUPS/theseus-bench.$$

if [ "$(id -u)" != 0 ] || [ -z "$CGROUPS" ] || [ ! -d "$BASE/usr" ]; then
    echo "SKIPPED $(basename "$0" .sh): needs root, control groups of version 2 and $BASE (cargo xtask setup)"
    exit 77
fi

finish() {
    set +e
    end_controllers
    rmdir "$OWN" 2>/dev/null
    [ ${#NAMES[@]} = 0 ] || "$THESEUS" lab down "${NAMES[@]}"
    rm -rf "$WORK"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Ends what measured commands left running (warm connections), and waits for it.
end_controllers() {
    [ -d "$OWN" ] || return 0
    echo 1 >"$OWN/cgroup.kill"
    for _ in $(seq 100); do
        grep -q 'populated 0' "$OWN/cgroup.events" && return
        sleep 0.02
    done
}

# hosts N [OPTIONS OF LAB UP]: makes hosts with sshd; fills NAMES, ADDRESSES and the inventory.
hosts() {
    local number=$1 line name
    shift
    [ -e "$WORK/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$WORK/key"
    "$THESEUS" lab up "$number" --name bench --base "$BASE" --sshd "$WORK/key.pub" --output json "$@" >"$WORK/up"
    ADDRESSES=()
    while read -r line; do
        name=${line#*\"host\":\"}
        NAMES+=("${name%%\"*}")
        line=${line#*\"address\":\"}
        ADDRESSES+=("${line%%\"*}")
    done < <(grep '"event":"lab"' "$WORK/up")
    [ ${#NAMES[@]} = "$number" ] || { cat "$WORK/up"; return 1; }
    ssh-keyscan -t ed25519 "${ADDRESSES[@]}" >"$WORK/known_hosts" 2>/dev/null
    printf '%s\n' "${ADDRESSES[@]}" >"$WORK/addresses"
    inventory >"$WORK/hosts.ini"
}

inventory() {
    local at
    echo '[all]'
    for at in "${!NAMES[@]}"; do
        echo "${NAMES[at]} ansible_host=${ADDRESSES[at]}"
    done
    echo '[all:vars]'
    echo 'ansible_user=root'
    echo "ansible_ssh_private_key_file=$WORK/key"
    echo "ansible_ssh_common_args='-o UserKnownHostsFile=$WORK/known_hosts -o IdentitiesOnly=yes'"
    echo 'ansible_python_interpreter=/usr/bin/python3'
}

usage() {
    local total=0 word number file
    for file in "$@"; do
        while read -r word number; do
            [ "$word" != usage_usec ] || total=$((total + number))
        done <"$file"
    done
    echo "$total"
}

# Microseconds of processor time that the hosts together have used, or those in COUNTED if it names some.
COUNTED=()
hosts_used() {
    local names=("${NAMES[@]}") files
    [ ${#COUNTED[@]} = 0 ] || names=("${COUNTED[@]}")
    files=("${names[@]/#/$CGROUPS/theseus-lab/lab.}")
    usage "${files[@]/%//cpu.stat}"
}

# measure COMMAND...: sets CONTROLLER, ONHOSTS (processor time), WALL (all in microseconds) and OUTCOME (exit status).
# The command's whole process tree is counted, those that it leaves behind included.
measure() {
    local before_own before_hosts start
    mkdir -p "$OWN"
    before_own=$(usage "$OWN/cpu.stat") before_hosts=$(hosts_used)
    start=${EPOCHREALTIME/./} OUTCOME=0
    (
        echo "$BASHPID" >"$OWN/cgroup.procs"
        exec "$@"
    ) >"$WORK/output" 2>"$WORK/errors" </dev/null || OUTCOME=$?
    WALL=$((${EPOCHREALTIME/./} - start))
    # A host's sshd ends the session a little after the client has gone.
    sleep 0.5
    CONTROLLER=$(($(usage "$OWN/cpu.stat") - before_own)) ONHOSTS=$(($(hosts_used) - before_hosts))
}

# The least that one command on every host costs with OpenSSH: see `measure "${FLOOR[@]}"`.
cat >"$WORK/floor" <<'END'
while read -r address; do
    ssh -F none -i "$1/key" -o IdentitiesOnly=yes -o UserKnownHostsFile="$1/known_hosts" -o BatchMode=yes \
        "root@$address" true </dev/null &
done <"$1/addresses"
wait
END
FLOOR=(bash "$WORK/floor" "$WORK")

median() {
    printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

# seconds MICROSECONDS
seconds() {
    printf '%d.%03d' $(($1 / 1000000)) $(($1 % 1000000 / 1000))
}

# ratio A B: A/B with one decimal.
ratio() {
    local tenths=$((($1 * 10 + $2 / 2) / ($2 > 0 ? $2 : 1)))
    echo "$((tenths / 10)).$((tenths % 10))"
}
