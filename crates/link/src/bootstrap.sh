mask=$(umask); umask 077
d=$1 z=$2 r=$3 h=$4 fresh=$5 sum=$6
u=$(id -u)
say() { echo "@theseus-bootstrap $*"; }
if [ "$u" = 0 ]; then set -- /var/lib/theseus; else set --; fi
if [ -n "$HOME" ]; then set -- "$@" "${XDG_STATE_HOME:-$HOME/.local/state}/theseus" "$HOME/.theseus"; fi
set -- "$@" "/run/user/$u/theseus" "/dev/shm/theseus-$u"
bad() { ls -ldn "$@" 2>/dev/null | while read -r m n o x; do case $m in l*|?????w*|????????w*) echo bad;; esac; [ "$o" = "$u" ] || echo bad; done; }
for s in "$@"; do
  f=$s/bin/agent-$d
  [ -f "$f" ] || continue
  [ -z "$(bad "$s" "$s/bin" "$f")" ] || continue
  if [ "$fresh" = 1 ]; then rm -f "$f"; continue; fi
  [ -x "$f" ] || continue
  IFS= read -r m < "$f"
  case $m in *ELF*) say run; umask "$mask"; exec "$f" serve --digest "$d";; esac
done
w=
for s in "$@"; do
  mkdir -p "$s/bin" 2>/dev/null
  if [ -d "$s/bin" ]; then :; else w="$w; $s cannot be made"; continue; fi
  if [ -n "$(bad "$s" "$s/bin")" ]; then w="$w; $s is a link, or others may write there"; continue; fi
  t=$s/bin/.new-$$
  rm -f "$t" 2>/dev/null
  if (set -C; echo : > "$t") 2>/dev/null; then :; else w="$w; $s cannot be written (read-only or full)"; continue; fi
  chmod 700 "$t"
  if "$t" </dev/null >/dev/null 2>&1; then :; else rm -f "$t"; w="$w; programs may not run in $s (noexec)"; continue; fi
  k=raw n=$r
  if command -v gzip >/dev/null 2>&1; then k=gzip n=$z; fi
  say need $k
  dd bs=1 count="$h" of=/dev/null 2>/dev/null
  if [ $k = gzip ]; then head -c "$n" | gzip -dc > "$t"; else head -c "$n" > "$t"; fi
  g=$(($(wc -c < "$t")))
  if [ "$g" = "$r" ]; then :; else rm -f "$t"; say fail "only $g of $r bytes of the agent could be stored in $s: is the disk full?"; exit 1; fi
  if command -v sha256sum >/dev/null 2>&1; then
    case $(sha256sum < "$t") in "$sum"*) ;; *) rm -f "$t"; say fail "the agent arrived damaged in $s"; exit 1;; esac
  fi
  f=$s/bin/agent-$d
  mv -f "$t" "$f" || { say fail "$f cannot be written"; exit 1; }
  ls -t "$s"/bin/agent-* | tail -n +4 | while read -r o; do rm -f "$o"; done
  say stored
  umask "$mask"; exec "$f" serve --digest "$d"
done
say fail "there is no place for the agent${w}"
exit 1
