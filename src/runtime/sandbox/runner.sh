# Runs one command of the service inside an environment, as its user:  sh runner.sh FILE
# Descriptor 3 is a socket to the service. When it ends, because the service gave up or died, the command's whole process
# group is killed: nothing of a command that nobody waits for goes on.
{ read -r _; kill -KILL 0; } <&3 &
watcher=$!
exec 3>&-
sh "$1"
code=$?
kill -KILL "$watcher"
exit "$code"
