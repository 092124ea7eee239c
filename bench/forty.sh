#!/bin/bash
# The 40-task project when nothing is to be changed: processor time of controller and hosts together, and wall time,
# of Theseus, ansible-playbook with pipelining, the same with mitogen, and of nothing but `ssh host true`.
# Usage: bench/forty.sh [NUMBER OF HOSTS]... (default: 1 16); ROUNDS for Theseus and the floor (default: 7), SLOW for the others (2).

source "$(dirname "$0")/lib/common.sh"
ROUNDS=${ROUNDS:-7} SLOW=${SLOW:-2}
WELL=0
export ANSIBLE_PIPELINING=1 ANSIBLE_FORKS=50 ANSIBLE_HOME=$WORK/ansible ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=0
export ANSIBLE_STRATEGY_PLUGINS
ANSIBLE_STRATEGY_PLUGINS=$("$ORACLE/python" -c 'import os, ansible_mitogen; print(os.path.join(os.path.dirname(ansible_mitogen.__file__), "plugins", "strategy"))')
PROJECT=("$BENCH/forty/site.yml" -i "$WORK/hosts.ini")

theseus() { measure "$THESEUS" apply "${PROJECT[@]}" -f 50 --output ansible; }
ansible() { measure "$ORACLE/ansible-playbook" "${PROJECT[@]}"; }
mitogen() { ANSIBLE_STRATEGY=mitogen_linear measure "$ORACLE/ansible-playbook" "${PROJECT[@]}"; }
floor() { measure "${FLOOR[@]}"; }

# check NAME: the last command must have reached every host and changed nothing.
check() {
    local same
    same=$(grep -c 'changed=0 *unreachable=0 *failed=0' "$WORK/output" || true)
    [ "$OUTCOME $same" != "0 ${#NAMES[@]}" ] || return 0
    echo "$1: exit status $OUTCOME, changed=0 on $same of ${#NAMES[@]} hosts" >&2
    grep -A 99 'PLAY RECAP' "$WORK/output" >&2 || tail -n 20 "$WORK/output" "$WORK/errors" >&2
    WELL=1
}

# rounds NUMBER NAME: the medians over some rounds, into RESULT_NAME="processor controller hosts wall".
rounds() {
    local cpu=() own=() far=() wall=() round
    for ((round = 0; round < $1; round++)); do
        [ "$2" != ansible_cold ] || end_controllers
        "${2%_*}"
        [ "$2" = floor ] || check "$2"
        own+=("$CONTROLLER") far+=("$ONHOSTS") cpu+=($((CONTROLLER + ONHOSTS))) wall+=("$WALL")
    done
    RESULT[$2]="$(median "${cpu[@]}") $(median "${own[@]}") $(median "${far[@]}") $(median "${wall[@]}")"
}

row() {
    local cpu own far wall
    read -r cpu own far wall <<<"${RESULT[$2]}"
    printf '%-38s %9s %11s %9s %9s %12s %12s\n' "$1" "$(seconds "$cpu")" "$(seconds "$own")" "$(seconds "$far")" \
        "$(seconds "$wall")" "$(ratio "$cpu" "$OURS")" "$(ratio "$wall" "$OURWALL")"
}

# aim TEXT ACHIEVED: ACHIEVED is 0 or 1.
aim() {
    if [ "$2" = 1 ]; then echo "reached  $1"; else echo "MISSED   $1"; WELL=1; fi
}

compare() {
    local slow quick least
    declare -gA RESULT=()
    hosts "$1"
    measure "$THESEUS" apply "${PROJECT[@]}" -f 50 --output ansible
    [ "$OUTCOME" = 0 ] || { cat "$WORK/output" "$WORK/errors"; exit 1; }
    echo "-- $1 host(s): first run of Theseus, agent pushed: $(seconds $((CONTROLLER + ONHOSTS))) s of processor, $(seconds "$WALL") s; $(grep -c 'failed=0' "$WORK/output") converged"
    rounds "$ROUNDS" floor
    rounds "$ROUNDS" theseus
    rounds "$SLOW" ansible_cold
    rounds "$SLOW" ansible_warm
    end_controllers
    rounds "$SLOW" mitogen
    end_controllers
    read -r OURS _ _ OURWALL <<<"${RESULT[theseus]}"
    printf '%-38s %9s %11s %9s %9s %12s %12s\n' 'nothing to change; seconds' processor controller hosts wall 'x processor' 'x wall'
    row "Theseus, native ssh (of $ROUNDS)" theseus
    row "ansible, pipelining, cold (of $SLOW)" ansible_cold
    row "ansible, pipelining, warm (of $SLOW)" ansible_warm
    row "ansible, mitogen_linear (of $SLOW)" mitogen
    row "floor: ssh host true (of $ROUNDS)" floor
    read -r slow _ <<<"${RESULT[ansible_warm]}"
    read -r quick _ <<<"${RESULT[mitogen]}"
    read -r least _ <<<"${RESULT[floor]}"
    aim "100x less processor than ansible with pipelining (warm): $(ratio "$slow" "$OURS")x" $((slow >= 100 * OURS))
    aim "10x less than mitogen: $(ratio "$quick" "$OURS")x" $((quick >= 10 * OURS))
    aim "at most 2x of the floor: $(ratio "$OURS" "$least")x" $((OURS <= 2 * least))
    [ "$WELL" != 0 ] || echo "changed=0 on all $1 host(s) in every round of all"
    "$THESEUS" lab down "${NAMES[@]}"
    NAMES=()
}

[ $# -gt 0 ] || set -- 1 16
for number in "$@"; do
    compare "$number"
done
exit $WELL
