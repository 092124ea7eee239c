#!/bin/bash
# What watching costs: `apt-get install` of a large set of packages (downloaded before) on fresh hosts, with and without
# the witness, side by side: wall time, and processor time of the hosts.
# Usage: bench/witness.sh (ROUNDS of both, default: 5; PACKAGES to install)

source "$(dirname "$0")/lib/common.sh"
source "$(dirname "$0")/lib/packages.sh"
ROUNDS=${ROUNDS:-5}
PACKAGES=${PACKAGES:-nginx-light git python3 redis-server memcached mariadb-server rsyslog vim-nox haproxy man-db curl gnupg}
debs witness-packages $PACKAGES

cat >"$WORK/site.yml" <<'END'
- hosts: all
  gather_facts: false
  tasks:
    - name: install
      ansible.builtin.shell: DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends install /var/debs/*.deb
END

# once NAME OPTION...: one installation on a fresh host; appends to WALLS_NAME and CPUS_NAME.
once() {
    local name=$1
    shift
    NAMES=()
    "$THESEUS" lab up 1 --name "w$name" --base "$BASE" >/dev/null
    NAMES=("w${name}1")
    unpack "${NAMES[0]}"
    echo "${NAMES[0]} ansible_connection=lab" >"$WORK/hosts.ini"
    sync
    measure "$THESEUS" apply "$WORK/site.yml" -i "$WORK/hosts.ini" --output ansible "$@"
    if [ "$OUTCOME" != 0 ]; then
        tail -n 20 "$WORK/output" "$WORK/errors"
        exit 1
    fi
    "$THESEUS" lab down "${NAMES[0]}" >/dev/null
    NAMES=()
    eval "WALLS_$name+=($WALL) CPUS_$name+=($ONHOSTS)"
}

WALLS_with=() WALLS_without=() CPUS_with=() CPUS_without=()
for ((round = 0; round < ROUNDS; round++)); do
    # Who comes second finds warmer caches: in turn.
    if ((round % 2)); then
        once with
        once without --no-witness
    else
        once without --no-witness
        once with
    fi
    echo "round $((round + 1)): $(seconds "${WALLS_with[-1]}") s watched, $(seconds "${WALLS_without[-1]}") s not"
done

# percent A B: A/B in percent.
percent() { echo "$((($1 * 100 + $2 / 2) / ($2 > 0 ? $2 : 1)))"; }
with=$(median "${WALLS_with[@]}") without=$(median "${WALLS_without[@]}")
cpu_with=$(median "${CPUS_with[@]}") cpu_without=$(median "${CPUS_without[@]}")
echo "wall time:      $(seconds "$with") s watched, $(seconds "$without") s not: $(percent "$with" "$without") % (aim: at most 105 %)"
echo "processor time: $(seconds "$cpu_with") s watched, $(seconds "$cpu_without") s not: $(percent "$cpu_with" "$cpu_without") %"
[ "$(percent "$with" "$without")" -le 105 ]
