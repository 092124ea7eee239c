//! What the suite's hosts hold beside Debian: an inventory, the programs in front on the path, and what runs a target.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};

/// Where the real ansible-core is on hosts.
pub(crate) const REFERENCE: &str = "/opt/reference";
/// Where Theseus is, with links by the names of the programs that it stands in for.
pub(crate) const THESEUS: &str = "/opt/theseus";
/// Programs of these names come first on the path, and note each call with its exit code.
const NAMES: [&str; 4] = ["ansible-playbook", "ansible", "ansible-inventory", "ansible-vault"];
const FRONT: &str = "/opt/front";
/// Where the calls are noted.
pub(crate) const CALLS: &str = "/opt/calls";
/// What runs a target on the host.
pub(crate) const RUN: &str = "/opt/run-target";
/// This file, of which a made base depends.
pub(crate) const SOURCE: &str = include_str!("guest.rs");

const INVENTORY: &str = "[testgroup]\ntesthost ansible_connection=local ansible_pipelining=yes \
                         ansible_python_interpreter=/usr/bin/python3\n";

const WRAPPER: &str = r#"#!/bin/bash
"$PROGRAMS/${0##*/}" "$@"
code=$?
printf '%s %s' "$code" "${0##*/}" >>/opt/calls
printf ' %q' "$@" >>/opt/calls
echo >>/opt/calls
exit $code
"#;

/// The variables are those with which the suite's own harness runs it.
const SCRIPT: &str = r#"#!/bin/bash
# run-target NAME PROGRAMS
set -u
name=$1
export PROGRAMS=$2
export HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb LANG=en_US.UTF-8 LC_ALL=en_US.UTF-8
export PATH=/opt/front:/opt/reference/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export ANSIBLE_FORCE_COLOR=false ANSIBLE_FORCE_HANDLERS=true ANSIBLE_HOST_PATTERN_MISMATCH=error
export ANSIBLE_INVENTORY=/dev/null ANSIBLE_DEPRECATION_WARNINGS=false ANSIBLE_HOST_KEY_CHECKING=false
export ANSIBLE_RETRY_FILES_ENABLED=false ANSIBLE_CONFIG=/opt/empty.cfg ANSIBLE_LIBRARY=/dev/null
export ANSIBLE_DEVEL_WARNING=false PAGER=/bin/cat
export ANSIBLE_PYTHON_INTERPRETER=/set/ansible_python_interpreter/in/inventory
export OUTPUT_DIR=/root/ansible_testing INVENTORY_PATH=/opt/suite/test/integration/inventory
export ANSIBLE_TEST_CI= ANSIBLE_TEST_COVERAGE= ANSIBLE_TEST_PYTHON_INTERPRETER=/opt/reference/bin/python
export ANSIBLE_TEST_PREFER_VENV= ANSIBLE_TEST_CONTENT_ROOT=/opt/suite
ANSIBLE_TEST_ANSIBLE_VERSION=$(/opt/reference/bin/python -c 'import ansible.release as r; print(r.__version__)')
ANSIBLE_TEST_PYTHON_VERSION=$(/opt/reference/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
export ANSIBLE_TEST_ANSIBLE_VERSION ANSIBLE_TEST_PYTHON_VERSION
integration=/opt/suite/test/integration
mkdir -p "$OUTPUT_DIR" ~/.ssh
if [ ! -e ~/.ssh/id_rsa ]; then
    ssh-keygen -q -t rsa -N '' -f ~/.ssh/id_rsa
    cat ~/.ssh/id_rsa.pub >>~/.ssh/authorized_keys
    chmod 600 ~/.ssh/authorized_keys
fi

one() {
    local name=$1 folder=$integration/targets/$1 facts=yes set code
    while read -r set; do
        case $set in
            env/set/*) set=${set#env/set/}; export "${set%%/*}=${set#*/}" ;;
            gather_facts/no) facts=no ;;
        esac
    done < <(sed 's/ *#.*//' "$folder/aliases" 2>/dev/null)
    if [ -e "$folder/runme.sh" ]; then
        cd "$folder" || exit 9
        ANSIBLE_PLAYBOOK_DIR=$folder ./runme.sh
        code=$?
        return $code
    fi
    cd "$integration" || exit 9
    cat >"$name-play.yml" <<PLAY
[{"hosts": "testhost", "gather_facts": "$facts", "vars": {"output_dir": "$OUTPUT_DIR"}, "roles": ["$name"]}]
PLAY
    ANSIBLE_PLAYBOOK_DIR=$integration ANSIBLE_ROLES_PATH=$integration/targets \
        ansible-playbook "$name-play.yml" -i inventory
}

for before in $(sed -n 's/ *#.*//; s,^setup/\(always\|once\)/,,p' "$integration/targets/$name/aliases" 2>/dev/null); do
    (one "$before") || { echo "the target $before, which must go before, failed"; exit 8; }
done
one "$name"
"#;

/// Puts all of it into the root of hosts.
pub(crate) fn furnish(place: &Path) -> Result<()> {
    let at = |path: &str| place.join(path.trim_start_matches('/'));
    fs::write(at("/opt/suite/test/integration/inventory"), INVENTORY)?;
    fs::write(at("/opt/empty.cfg"), "")?;
    program(&at(RUN), SCRIPT)?;
    fs::create_dir_all(at(FRONT))?;
    fs::create_dir_all(at(THESEUS))?;
    for name in NAMES {
        program(&at(FRONT).join(name), WRAPPER)?;
        symlink("theseus", at(THESEUS).join(name))?;
    }
    Ok(())
}

/// Writes an executable file.
pub(crate) fn program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}
