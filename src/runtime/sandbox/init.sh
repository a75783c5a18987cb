# Process 1 of an environment, as its user. Keeps the service command running, takes in orphans, ends everything on
# SIGTERM:  sh init.sh [WORDS TO START A PROGRAM BY]...  Adopted children are reaped because "wait" reaps whatever ends (holds for dash and bash, and is tested).
echo ready >&3
exec 3>&-

stop() {
  trap '' TERM
  kill -TERM -1 2>/dev/null
  # Two seconds for what wants to write something down; the kernel kills the rest when process 1 is gone.
  tries=0
  while [ "$tries" -lt 100 ]; do
    set -- /proc/[0-9]*
    [ $# -gt 1 ] || break
    sleep 0.02 &
    wait $!
    tries=$((tries + 1))
  done
  exit 0
}
trap stop TERM

# A foreground command would hold back the trap and the reaping until it ends; "wait" does not.
pause() {
  sleep "$1" &
  wait $!
}

service=/opt/slipway/service
while [ ! -e "$service" ]; do pause 2147483647; done

delay=1
while :; do
  began=$(date +%s)
  setsid "$@" sh "$service" </dev/null &
  wait $!
  code=$?
  [ $(($(date +%s) - began)) -lt 10 ] || delay=1
  echo "slipway: the service command ended with code $code and starts again in $delay s"
  pause "$delay"
  delay=$((delay * 2))
  [ "$delay" -le 30 ] || delay=30
done
