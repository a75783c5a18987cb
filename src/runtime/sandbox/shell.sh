#!/bin/sh
# What sshd takes for the user's shell. sshd starts it in the home folder; sessions begin in the workspace folder, so this
# goes there and becomes the real shell. SHELL names this file only when sshd has just set it: a program that starts
# "the user's shell" later gets the real one, in the folder it chose. SLIPWAY_CHANNEL tells its own process from all that
# inherit it: a service that finds this process after a crash knows that nobody is at its other end (`adopting.ts`).
real=/bin/sh
[ ! -x /bin/bash ] || real=/bin/bash
if [ "$SHELL" = /opt/slipway/shell ]; then
  export SHELL="$real" SLIPWAY_CHANNEL=$$
  cd "$SLIPWAY_WORKSPACE" || :
fi
[ $# -gt 0 ] || set -- -l # sshd gives no arguments exactly when it wants a login shell
exec "$real" "$@"
