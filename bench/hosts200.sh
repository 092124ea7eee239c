#!/bin/bash
# Many connections at once: the controller's peak of resident memory, and whether every task was done on every host.
# Usage: bench/hosts200.sh [NUMBER OF HOSTS] (default: 200)

source "$(dirname "$0")/lib/common.sh"
NUMBER=${1:-200}
cat >"$WORK/site.yml" <<'END'
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.file: {path: /srv/many, state: directory, mode: "0755"}
    - ansible.builtin.copy: {content: "{{ inventory_hostname }}\n", dest: /srv/many/name, mode: "0644"}
    - ansible.builtin.command: cat /srv/many/name
      register: said
      changed_when: false
      failed_when: said.stdout != inventory_hostname
END

START=${EPOCHREALTIME/./}
hosts "$NUMBER" --small
echo "$NUMBER lab hosts with sshd made in $(seconds $((${EPOCHREALTIME/./} - START))) s"

# once TITLE: runs the play, and keeps the last peak that the kernel told before the end.
once() {
    local start=${EPOCHREALTIME/./} pid key value unit peak=0 outcome=0 well open most=0
    "$THESEUS" apply "$WORK/site.yml" -i "$WORK/hosts.ini" -f "$NUMBER" --output ansible >"$WORK/output" 2>"$WORK/errors" </dev/null &
    pid=$!
    while [ -e "/proc/$pid/status" ]; do
        while read -r key value unit; do
            [ "$key" != VmHWM: ] || peak=$value
        done <"/proc/$pid/status" || break
        open=$(ss -Htnp state established | grep -c "pid=$pid,") || true
        [ "$open" -le "$most" ] || most=$open
        sleep 0.01
    done 2>/dev/null
    wait "$pid" || outcome=$?
    well=$(grep -c 'ok=3 .*unreachable=0 *failed=0' "$WORK/output" || true)
    echo "$1: $(seconds $((${EPOCHREALTIME/./} - start))) s, exit status $outcome, $well of $NUMBER hosts with 3 of 3 tasks, at most $most connections seen open at once, peak memory of the controller $((peak / 1024)) MiB"
    if [ "$outcome $well" != "0 $NUMBER" ] || [ "$peak" -ge 204800 ]; then
        grep -v 'ok=3 .*unreachable=0 *failed=0' "$WORK/output" | tail -n 20
        tail -n 20 "$WORK/errors"
        FAILED=1
    fi
}

FAILED=0
once 'first run, agent pushed'
once 'second run'
THERE=0
for name in "${NAMES[@]}"; do
    [ "$("$THESEUS" lab exec "$name" -- cat /srv/many/name)" != "$name" ] || THERE=$((THERE + 1))
done
echo "the file is as wanted on $THERE of $NUMBER hosts"
[ "$FAILED $THERE" = "0 $NUMBER" ]
