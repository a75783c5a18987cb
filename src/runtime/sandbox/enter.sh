# Becomes a command within the limits of an environment:  bash enter.sh CHANNEL [GROUP]... -- COMMAND...
# Each GROUP is a cgroup.procs file to join. With CHANNEL "stream" descriptor 3 becomes the command's input and output
# (one socket for both directions; Node can make one only there); with "keep" descriptors stay as they are.
# For bash, since other shells close descriptors of one digit only. It reads a function whole, and so can lose this file.
enter() {
  local channel=$1 descriptor status
  shift
  # What whoever started the service left open is none of an environment's business.
  for descriptor in /proc/self/fd/*; do
    descriptor=${descriptor##*/}
    [ "$descriptor" -le 3 ] || exec {descriptor}>&-
  done
  umask 022
  ulimit -S -c 0
  # The machine's own processes outlive those of environments when memory is short.
  echo 300 >/proc/self/oom_score_adj
  while [ "$1" != -- ]; do
    echo 0 >"$1" || exit 71
    shift
  done
  shift
  [ "$channel" = keep ] || exec <&3 >&3 3>&-
  # Nor are the keys of the service's session: keyrings(7). Without any in this kernel there is nothing to part from. A
  # filter of system calls may forbid them, here and so inside too; else no command is better than one that holds them.
  read -r -d '' status </proc/self/status
  if [ ! -e /proc/keys ] || ! type -P keyctl >/dev/null; then
    exec "$@"
  elif [[ $status != *Seccomp:?0* ]] && ! keyctl session - true 2>/dev/null; then
    exec "$@"
  fi
  # It tells the new keyring's number, which is not for the log.
  exec keyctl session - /bin/sh -c 'exec "$@" 2>&4 4>&-' sh "$@" 4>&2 2>/dev/null
}
enter "$@"
