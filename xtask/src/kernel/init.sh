#!/bin/busybox sh
# All that the machine does: it runs the tests, says of each how it ended, and switches itself off.

/bin/busybox --install -s /applets
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/applets

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
# Not over /tmp: the tests may have been built there.
mkdir -p /tmp
mount -t bpf bpf /sys/fs/bpf
modprobe -a $(cat /modules)
ip link set lo up
uname -sr

while read -r name command; do
    if $command </dev/null; then said=passed; else said=failed; fi
    echo "machine: $name $said"
done </tests

poweroff -f
