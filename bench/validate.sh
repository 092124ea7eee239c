#!/bin/sh
# How long `theseus validate` takes for a project of 1,000 files: 100 roles with tasks, handlers, variables and templates.
# Usage: bench/validate.sh [PROGRAM]
set -eu
program=$(realpath "${1:-target/release/theseus}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
{ echo '- hosts: all'; echo '  roles:'; } > site.yml
for n in $(seq 100); do
  r=roles/role$n
  mkdir -p $r/tasks $r/handlers $r/defaults $r/vars $r/templates $r/meta $r/files
  echo "    - role$n" >> site.yml
  printf 'role%s_port: %s\nrole%s_names: [a, b, c]\nrole%s_text: "{{ role%s_port }}/tcp"\n' $n $((8000 + n)) $n $n $n > $r/defaults/main.yml
  printf 'role%s_packages:\n  - nginx\n  - curl\n' $n > $r/vars/main.yml
  printf 'dependencies: []\n' > $r/meta/main.yml
  printf -- '- name: restart %s\n  ansible.builtin.service:\n    name: x%s\n    state: restarted\n' $n $n > $r/handlers/main.yml
  printf 'port {{ role%s_port }}\n{%% for name in role%s_names %%}\nname {{ name | upper }}\n{%% endfor %%}\n' $n $n > $r/templates/a.conf.j2
  printf '{%% if role%s_port | int > 80 %%}\nhigh\n{%% endif %%}\n' $n > $r/templates/b.conf.j2
  echo text > $r/files/static.conf
  for part in main install configure; do
    for t in 1 2 3 4 5 6; do
      cat <<TASK
- name: $part $t
  ansible.builtin.template:
    src: a.conf.j2
    dest: /etc/x$n/$part$t.conf
    mode: "0644"
  when: role${n}_port | int > $t and ansible_os_family == 'Debian'
  notify: restart $n
- name: copy $part $t
  ansible.builtin.copy: {src: static.conf, dest: "/etc/x$n/{{ item }}", mode: "0644"}
  loop: "{{ role${n}_names }}"
TASK
    done > $r/tasks/$part.yml
  done
  printf -- '- import_tasks: install.yml\n- include_tasks: configure.yml\n- template: {src: b.conf.j2, dest: /etc/b%s}\n' $n >> $r/tasks/main.yml
done
echo "$(find . -type f | wc -l) files"
for _ in 1 2 3 4 5; do
  THESEUS_TIMES=1 "$program" validate site.yml 2>&1 | tail -1
done
