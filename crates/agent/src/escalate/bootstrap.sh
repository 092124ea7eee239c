# Run by the user that the agent becomes: EXE DIGEST SIZE ARGS…
k=$(umask); umask 077
x=$1 d=$2 n=$3; shift 3
if [ -r "$x" ] && [ -x "$x" ]; then umask "$k"; exec "$x" "$@"; fi
u=$(id -u)
h=${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}/theseus
[ "$u" = 0 ] && h=/var/lib/theseus
for s in "$h" "/run/user/$u/theseus" "/dev/shm/theseus-$u"; do
  mkdir -p "$s/bin" 2>/dev/null
  [ -d "$s/bin" ] && [ -O "$s" ] && [ -O "$s/bin" ] && [ ! -L "$s" ] && [ ! -L "$s/bin" ] || continue
  chmod go-w "$s" "$s/bin" 2>/dev/null || continue
  f=$s/bin/agent-$d
  if [ -x "$f" ] && [ -O "$f" ] && [ ! -L "$f" ]; then umask "$k"; exec "$f" "$@" --verify "$d"; fi
  t=$s/bin/.new-$$
  (set -C; : > "$t") 2>/dev/null || continue
  chmod 700 "$t"
  "$t" </dev/null >/dev/null 2>&1 || { rm -f "$t"; continue; }
  echo @theseus-need
  if head -c "$n" > "$t" && mv -f "$t" "$f"; then umask "$k"; exec "$f" "$@" --verify "$d"; fi
  rm -f "$t"
  echo "the agent could not be written to $s: is the disk full?" >&2
  exit 1
done
echo "there is no place where user $u could keep the agent" >&2
exit 1
