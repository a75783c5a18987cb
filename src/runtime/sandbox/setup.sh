# First process of an environment's namespaces, still root in them:  sh setup.sh FSTAB ROOT HOSTNAME IPBATCH COMMAND...
# Makes the file system while the service makes the network and sets limits, then becomes COMMAND, which drops all
# privileges. Descriptor 3 is a socket to the service: "self …" goes out; "go", "net" and "limits" come in. If the service
# dies before "go", the socket ends and so do we: no process is ever left that the service has not written down.
set -eu
exec 4>&2 2>&3
# /proc is still the machine's: pid and start time (field 22) as the machine sees them.
read -r self </proc/self/stat
echo "self $self" >&3
read -r go <&3 || exit 0
fstab=$1 root=$2 hostname=$3 batch=$4
shift 4
mount -a -T "$fstab" &
echo "$hostname" 2>/dev/null >/proc/sys/kernel/hostname || hostname "$hostname" # the second for an ordinary user
read -r net <&3 || exit 0
[ -z "$batch" ] || ip -batch "$batch"
wait $!
read -r limits <&3 || exit 0
cd "$root"
pivot_root . .
umount -l .
cd /
exec unshare --cgroup -- "$@" 2>&4 4>&-
