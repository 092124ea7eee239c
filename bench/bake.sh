#!/bin/bash
# Baking beside others: the first bake against the same steps by hand in a chroot (aim: at most 1.2x), and one changed line
# of a template against docker build, buildah and packer (docker builder, ansible provisioner) with their caches (aims: not
# slower than docker build, 5x faster than packer). Needs the network for Debian's packages. ROUNDS (3).

source "$(dirname "$0")/lib/common.sh"
ROUNDS=${ROUNDS:-3}
for program in dockerd docker buildah skopeo packer; do
    command -v "$program" >/dev/null || { echo "SKIPPED bake: needs $program (docker.io buildah skopeo packer)"; exit 77; }
done
export THESEUS_STATE=$WORK/state DOCKER_HOST=unix://$WORK/engine/socket
export ANSIBLE_PIPELINING=1 ANSIBLE_HOST_KEY_CHECKING=0 ANSIBLE_SSH_TRANSFER_METHOD=piped ANSIBLE_HOME=$WORK/ansible \
    ANSIBLE_SSH_ARGS="-o HostKeyAlgorithms=+ssh-rsa -o PubkeyAcceptedAlgorithms=+ssh-rsa -o ControlMaster=no"
export PACKER_CONFIG_DIR=$WORK/packer PACKER_CACHE_DIR=$WORK/packer/cache CHECKPOINT_DISABLE=1
MISSED=0

engine() {
    mkdir -p "$WORK/engine"
    dockerd --host "$DOCKER_HOST" --data-root "$WORK/engine/data" --exec-root "$WORK/engine/exec" \
        --pidfile "$WORK/engine/pid" --bridge none --iptables=false --ip6tables=false &>"$WORK/engine/log" &
    ENGINE=$!
    for _ in $(seq 150); do
        ! docker version &>/dev/null || return 0
        sleep 0.2
    done
    tail "$WORK/engine/log"
    return 1
}

clean_up() {
    set +e
    [ -z "${ENGINE:-}" ] || { kill "$ENGINE"; wait "$ENGINE" 2>/dev/null; }
    findmnt -rno TARGET | grep "^$WORK/" | sort -r | xargs -r umount
    finish
}
trap clean_up EXIT

# page TEXT: what all of them put into the image.
page() {
    printf '<h1>%s</h1>\n' "$1" >"$WORK/project/index.html"
    cp "$WORK/project/index.html" "$WORK/docker/index.html"
    cp "$WORK/project/index.html" "$WORK/project/index.html.j2"
}

project() {
    mkdir -p "$WORK/project" "$WORK/docker" "$WORK/packer"
    printf 'server {\n    listen 80 default_server;\n    root /var/www/html;\n}\n' | tee "$WORK/project/site.conf" >"$WORK/docker/site.conf"
    cat >"$WORK/project/theseus.yml" <<END
images:
  web: {playbook: site.yml, base: $BASE, groups: [web], network: host}
  plain: {playbook: plain.yml, base: $BASE, groups: [web], network: none}
END
    cat >"$WORK/project/site.yml" <<'END'
- hosts: all
  gather_facts: false
  tasks:
    - apt: {name: nginx-light, update_cache: true, install_recommends: false}
    - copy: {src: site.conf, dest: /etc/nginx/sites-available/default, mode: '0644'}
    - service: {name: nginx, enabled: true}
    - template: {src: index.html.j2, dest: /var/www/html/index.html, mode: '0644'}
END
    printf -- '- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: x, dest: /etc/plain}\n' >"$WORK/project/plain.yml"
    cat >"$WORK/docker/Dockerfile" <<'END'
FROM base
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/*
COPY site.conf /etc/nginx/sites-available/default
RUN systemctl enable nginx
COPY index.html /var/www/html/index.html
END
    sed 's|^FROM base|FROM localhost/base|' "$WORK/docker/Dockerfile" >"$WORK/docker/Containerfile"
    # Its services cannot run in a container without an init; the others do not start them either.
    cat >"$WORK/packer/web.json" <<END
{"builders": [{"type": "docker", "image": "base", "pull": false, "commit": true,
  "run_command": ["-d", "-i", "-t", "--network=host", "--entrypoint=/bin/sh", "--", "{{.Image}}"]}],
 "provisioners": [{"type": "ansible", "playbook_file": "$WORK/project/site.yml", "user": "root",
  "command": "$ORACLE/ansible-playbook", "extra_arguments": ["-e", "ansible_python_interpreter=/usr/bin/python3"]}],
 "post-processors": [{"type": "docker-tag", "repository": "packed", "tag": ["1"]}]}
END
}

by_hand() {
    rm -rf "$WORK/hand"
    cp -a --reflink=auto "$BASE/." "$WORK/hand"
    cp /etc/resolv.conf "$WORK/hand/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$WORK/hand/usr/sbin/policy-rc.d"
    chmod 755 "$WORK/hand/usr/sbin/policy-rc.d"
    measure bash -c "chroot '$WORK/hand' sh -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx-light' &&
        cp '$WORK/project/site.conf' '$WORK/hand/etc/nginx/sites-available/default' &&
        chroot '$WORK/hand' systemctl enable nginx && cp '$WORK/project/index.html' '$WORK/hand/var/www/html/index.html'"
}

bake() { cd "$WORK/project" && measure "$THESEUS" bake web "$@"; }
BUILDAH=(buildah --root "$WORK/containers" --runroot "$WORK/containers-run" --storage-driver overlay)
with_docker() { measure docker build -q --network host -t built "$WORK/docker"; }
with_buildah() { measure "${BUILDAH[@]}" bud -q --layers --isolation chroot -t built -f "$WORK/docker/Containerfile" "$WORK/docker"; }
with_packer() { measure packer build "$WORK/packer/web.json"; }

# well NAME: the last command ended well.
well() {
    [ "$OUTCOME" = 0 ] || { echo "$1 failed:"; tail -n 20 "$WORK/output" "$WORK/errors"; exit 1; }
}

# aim TEXT VALUE LIMIT: in tenths; VALUE must not be above LIMIT.
aim() {
    if [ "$2" -le "$3" ]; then echo "reached  $1"; else echo "MISSED   $1"; MISSED=1; fi
}

tenths() { echo $((($1 * 10 + $2 / 2) / ($2 > 0 ? $2 : 1))); }

project
page first
engine
tar -C "$BASE" -c . | docker import - base:latest >/dev/null
docker save base:latest -o "$WORK/base.tar"
"${BUILDAH[@]}" pull -q "docker-archive:$WORK/base.tar" >/dev/null
"${BUILDAH[@]}" tag "$("${BUILDAH[@]}" images -q | head -n 1)" localhost/base
rm "$WORK/base.tar"
# The base is known to every one of them before the clock runs.
cd "$WORK/project" && "$THESEUS" bake plain &>"$WORK/plain" || { cat "$WORK/plain"; exit 1; }

hand=() first=()
for ((round = 0; round < ROUNDS; round++)); do
    by_hand; well "the steps by hand"; hand+=("$WALL")
    rm -rf "$THESEUS_STATE/images/apt"
    bake --from-scratch; well "bake"; first+=("$WALL")
done
with_docker; well "docker build"; firstdocker=$WALL
with_buildah; well buildah; firstbuildah=$WALL
with_packer; well packer; firstpacker=$WALL
HAND=$(median "${hand[@]}") FIRST=$(median "${first[@]}")
echo "first time, base known: by hand in a chroot $(seconds "$HAND") s, bake $(seconds "$FIRST") s ($(ratio "$FIRST" "$HAND")x), docker build $(seconds "$firstdocker") s, buildah $(seconds "$firstbuildah") s, packer $(seconds "$firstpacker") s"

ours=() docker=() buildah=() packer=()
for ((round = 0; round < ROUNDS; round++)); do
    page "change $round"
    bake; well "bake"; ours+=("$WALL")
    grep -q '3 from the cache, 1 done' "$WORK/output" || { echo "the bake did more than it had to:"; cat "$WORK/output"; MISSED=1; }
    with_docker; well "docker build"; docker+=("$WALL")
    with_buildah; well buildah; buildah+=("$WALL")
    with_packer; well packer; packer+=("$WALL")
done
OURS=$(median "${ours[@]}") DOCKER=$(median "${docker[@]}") BUILDAH_TIME=$(median "${buildah[@]}") PACKER=$(median "${packer[@]}")
echo "one line of a template: bake $(seconds "$OURS") s; docker build $(seconds "$DOCKER") s ($(ratio "$DOCKER" "$OURS")x of ours), buildah $(seconds "$BUILDAH_TIME") s ($(ratio "$BUILDAH_TIME" "$OURS")x), packer $(seconds "$PACKER") s ($(ratio "$PACKER" "$OURS")x)"
first_digest=$(cd "$WORK/project" && "$THESEUS" bake web --from-scratch | grep -o 'sha256:[0-9a-f]*')
second_digest=$(cd "$WORK/project" && "$THESEUS" bake web --from-scratch | grep -o 'sha256:[0-9a-f]*')
echo "two bakes from scratch: $first_digest $second_digest"
aim "first bake at most 1.2x of the steps by hand" "$(tenths "$FIRST" "$HAND")" 12
aim "not slower than a cached docker build" "$(tenths "$OURS" "$DOCKER")" 10
aim "5x faster than packer" 50 "$(tenths "$PACKER" "$OURS")"
[ "$first_digest" = "$second_digest" ] && echo "reached  two bakes from scratch, one digest" || { echo "MISSED   two bakes from scratch, one digest"; MISSED=1; }
exit "$MISSED"
