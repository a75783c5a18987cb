# Becomes a command within the limits of an environment:  sh enter.sh CHANNEL [GROUP]... -- COMMAND...
# Each GROUP is a cgroup.procs file to join. With CHANNEL "stream" descriptor 3 becomes the command's input and output
# (one socket for both directions; Node can make one only there); with "keep" descriptors stay as they are.
channel=$1
shift
umask 022
ulimit -S -c 0
# The machine's own processes outlive those of environments when memory is short.
echo 300 >/proc/self/oom_score_adj
while [ "$1" != -- ]; do
  echo 0 >"$1" || exit 71
  shift
done
shift
[ "$channel" = stream ] && exec "$@" <&3 >&3 3>&-
exec "$@"
