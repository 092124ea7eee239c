#!/bin/bash
# What a resource costs, beside `puppet apply` and `cf-agent`: 100 and 1,000 files, 100 lines in files, 200 packages that
# are there, 50 users. Each program on a fresh host of its own with the same root, by itself, nothing over a network:
# the first run, which makes everything, and further ones, which find nothing to do. Wall time, and the processor time of
# the host. Aim: faster than both, first and later.
# Usage: bench/resources.sh (ROUNDS of later runs, default: 5; ONLY: names of workloads, default: all)

source "$(dirname "$0")/lib/common.sh"
source "$(dirname "$0")/lib/packages.sh"
ROUNDS=${ROUNDS:-5}
ONLY=${ONLY:-files more lines packages users}
WELL=0
debs resources-packages puppet-agent puppet-module-puppetlabs-stdlib cfengine3 build-essential
PROGRAMS=(theseus puppet cfengine)

# host NAME: a fresh host with all three programs.
host() {
    "$THESEUS" lab up 1 --name "$1" --base "$BASE" >/dev/null
    NAMES+=("${1}1")
    unpack "${1}1"
    "$THESEUS" lab exec "${1}1" -- sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d &&
        DEBIAN_FRONTEND=noninteractive dpkg -i /var/debs/*.deb >/var/debs/log 2>&1 || { tail -n 20 /var/debs/log; exit 1; }
        { cf-key >/dev/null 2>&1 || true; } && rm -r /var/debs && ln -s python3 /usr/bin/cfengine-selected-python &&
        install -m 700 /usr/share/cfengine3/masterfiles/modules/packages/vendored/apt_get.mustache -D /var/lib/cfengine3/modules/packages/apt_get'
    put "${1}1" /usr/local/bin/theseus <"$THESEUS"
    "$THESEUS" lab exec "${1}1" -- chmod 755 /usr/local/bin/theseus
}

put() { "$THESEUS" lab exec "$1" -- sh -c "cat >$2"; }

# The same wish in three languages: begin_, one line each, end_.
theseus_file() { printf -- '- {ansible.builtin.copy: {dest: /srv/files/%s, content: "file %s\\n", mode: "0644"}}\n' "$1" "$1"; }
puppet_file() { printf "file { '/srv/files/%s': content => \"file %s\\\\n\", mode => '0644' }\n" "$1" "$1"; }
cfengine_file() { printf '  files: "/srv/files/%s" create => "true", perms => m("0644"), edit_defaults => empty, edit_line => own("file %s");\n' "$1" "$1"; }
theseus_line() { printf -- '- {ansible.builtin.lineinfile: {path: /srv/lines/%s, line: "option%s = yes", create: true}}\n' $(($1 % 10)) "$1"; }
puppet_line() { printf "file_line { 'l%s': path => '/srv/lines/%s', line => 'option%s = yes' }\n" "$1" $(($1 % 10)) "$1"; }
cfengine_line() { printf '  files: "/srv/lines/%s" handle => "l%s", create => "true", edit_line => own("option%s = yes");\n' $(($1 % 10)) "$1" "$1"; }
theseus_package() { printf -- '- {ansible.builtin.apt: {name: %s, state: present}}\n' "$1"; }
puppet_package() { printf "package { '%s': ensure => present }\n" "$1"; }
cfengine_package() { printf '  packages: "%s" policy => "present", package_module => apt_get;\n' "$1"; }
theseus_user() { printf -- '- {ansible.builtin.user: {name: u%s, shell: /bin/sh, create_home: true}}\n' "$1"; }
puppet_user() { printf "user { 'u%s': ensure => present, shell => '/bin/sh', managehome => true }\n" "$1"; }
cfengine_user() { printf '  users: "u%s" policy => "present", shell => "/bin/sh", home_dir => "/home/u%s";\n' "$1" "$1"; }

# write KIND ITEMS...: the files for all programs, on all hosts.
write() {
    local kind=$1 item program
    shift
    {
        printf -- '- hosts: all\n  gather_facts: false\n  tasks:\n'
        for item in "$@"; do printf '    '; "theseus_$kind" "$item"; done
    } >"$WORK/theseus"
    for item in "$@"; do "puppet_$kind" "$item"; done >"$WORK/puppet"
    {
        cat <<'END'
body common control { bundlesequence => { "main" }; inputs => { "/usr/share/cfengine3/masterfiles/lib/stdlib.cf" }; }
bundle edit_line own(text) { insert_lines: "$(text)"; }
bundle agent main
{
END
        for item in "$@"; do "cfengine_$kind" "$item"; done
        echo '}'
    } >"$WORK/cfengine"
    for program in "${PROGRAMS[@]}"; do
        put "r${program}1" /var/tmp/policy <"$WORK/$program"
        "$THESEUS" lab exec "r${program}1" -- sh -c 'chmod 600 /var/tmp/policy; mkdir -p /srv/files /srv/lines'
        for item in 0 1 2 3 4 5 6 7 8 9; do "$THESEUS" lab exec "r${program}1" -- touch "/srv/lines/$item"; done
    done
}

# one PROGRAM: a run; sets WALL and CPU.
one() {
    local command
    case $1 in
    theseus) command=(theseus apply -c local -i localhost, /var/tmp/policy --output plain) ;;
    puppet) command=(puppet apply /var/tmp/policy) ;;
    cfengine) command=(cf-agent -K -f /var/tmp/policy) ;;
    esac
    COUNTED=("r${1}1")
    measure "$THESEUS" lab exec "r${1}1" -- "${command[@]}"
    CPU=$ONHOSTS
    if [ "$OUTCOME" != 0 ] || grep -qiE '^ *error:|failed=[1-9]' "$WORK/output" "$WORK/errors"; then
        echo "$1 did not do it:" >&2
        tail -n 20 "$WORK/output" "$WORK/errors" >&2
        exit 1
    fi
}

# workload WORD NAME CHECK KIND ITEMS...: measures and prints, if WORD is one of ONLY; CHECK is a command of a shell that tells whether it was done.
workload() {
    local word=$1 name=$2 check=$3 program round walls cpus
    declare -A wall cpu first
    [[ " $ONLY " == *" $word "* ]] || return 0
    shift 3
    write "$@"
    for program in "${PROGRAMS[@]}"; do
        one "$program"
        first[$program]=$WALL
        "$THESEUS" lab exec "r${program}1" -- sh -c "$check" || { echo "$program: not done: $check" >&2; exit 1; }
        walls=() cpus=()
        for ((round = 0; round < ROUNDS; round++)); do
            one "$program"
            walls+=("$WALL") cpus+=("$CPU")
        done
        wall[$program]=$(median "${walls[@]}") cpu[$program]=$(median "${cpus[@]}")
    done
    for program in "${PROGRAMS[@]}"; do
        printf '%-22s %-9s %9s %9s %9s %10s %10s %10s\n' "$name" "$program" "$(seconds "${first[$program]}")" \
            "$(seconds "${wall[$program]}")" "$(seconds "${cpu[$program]}")" "$(ratio "${first[$program]}" "${first[theseus]}")" \
            "$(ratio "${wall[$program]}" "${wall[theseus]}")" "$(ratio "${cpu[$program]}" "${cpu[theseus]}")"
        [ "${wall[$program]}" -ge "${wall[theseus]}" ] && [ "${first[$program]}" -ge "${first[theseus]}" ] || WELL=1
    done
}

for program in "${PROGRAMS[@]}"; do host "r$program"; done
printf '%-22s %-9s %9s %9s %9s %10s %10s %10s\n' '' '' 'first s' 'later s' 'cpu s' 'x first' 'x later' 'x cpu'
mapfile -t packages < <("$THESEUS" lab exec rtheseus1 -- dpkg-query -W -f '${binary:Package}\n' | sed 's/:.*//' | sort -u | head -n 200)
[ ${#packages[@]} = 200 ] || { echo "only ${#packages[@]} packages on the hosts"; exit 1; }
workload files '100 files' '[ "$(cat /srv/files/* | wc -l)" = 100 ]' file $(seq -w 100)
workload more '1,000 files' '[ "$(cat /srv/files/* | wc -l)" -ge 1000 ]' file $(seq -w 1000)
workload lines '100 lines' '[ "$(cat /srv/lines/[0-9] | grep -c yes)" = 100 ]' line $(seq 100)
workload packages '200 packages present' true package "${packages[@]}"
workload users '50 users' '[ "$(grep -c ^u[0-9] /etc/passwd)" = 50 ]' user $(seq 50)
[ "$WELL" = 0 ] && echo 'reached  faster than both' || echo 'MISSED   faster than both'
exit $WELL
