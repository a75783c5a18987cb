# Waits inside an environment, as its user and within its limits, for a connection: one line names the configuration that
# the service wrote for it. Everything that takes time has been done by then. Input and output are one socket to the
# service; it ends unused when the service does.
read -r config || exit 0
exec /usr/sbin/sshd -i -e -f "$config"
