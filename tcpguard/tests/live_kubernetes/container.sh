#!/bin/sh
# A container of the manifests: `container.sh FOLDER PROGRAM BPFFS CAPABILITIES ARG...` becomes PROGRAM with
# nothing around it but libraries, on a root that cannot be written to, with FOLDER/config as the ConfigMap
# and the node's bpffs (BPFFS is rw or ro), and with no capability but these.
#
# In a mount namespace of its own, and in the network namespace of the node. What it lacks of a real one is
# the filter of system calls, and the node's other folders in /dev and /etc.
set -eu

folder=$1 program=$2 bpffs=$3 capabilities=$4
shift 4
root=$folder/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir -p "$root/etc/tcpguard" "$root/proc" "$root/sys" "$root/usr"
for linked in lib lib64; do
	if [ -L "/$linked" ]; then cp -P "/$linked" "$root"; fi
done
touch "$root/tcpguard"
mount -o bind,ro /usr "$root/usr"
mount -o bind,ro "$program" "$root/tcpguard"
mount -o bind,ro "$folder/config" "$root/etc/tcpguard"
mount --rbind /proc "$root/proc"
mount -o bind,ro /proc/sys "$root/proc/sys"
mount -o bind,ro /sys "$root/sys"
mount -o "bind,$bpffs" /sys/fs/bpf "$root/sys/fs/bpf"
mount -o remount,ro "$root"
exec chroot "$root" /usr/bin/setpriv --bounding-set "$capabilities" --no-new-privs /tcpguard "$@"
