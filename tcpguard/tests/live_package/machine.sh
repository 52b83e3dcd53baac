#!/bin/sh
# A machine to install packages on: the files of this system, written to nowhere but memory, under a
# systemd of its own. `machine.sh FOLDER` switches it on, and on again when it restarts, until there
# is FOLDER/stop; what is in FOLDER/files it finds in its root. FOLDER/init has the number of its first
# process as long as it runs.
#
# It shares the kernel and the network namespace that it is started in, and nothing else.
set -eu

# In a mount namespace of its own, which keeps the written files from one start to the next.
switch_on() {
	cgroup=$(basename "$folder")
	mount --make-rprivate /
	mount -t tmpfs tmpfs "$folder/memory"
	cd "$folder/memory"
	mkdir upper work root cgroups
	cp -r "$folder/files/." upper
	mount -t cgroup2 cgroup2 cgroups
	mkdir "cgroups/$cgroup"
	# No machine of a test starts more often.
	for _ in 1 2 3; do
		if [ -e "$folder/stop" ]; then break; fi
		# In the background, so that this shell is not in the group that has to be empty in the end.
		sh -c "echo \$\$ > 'cgroups/$cgroup/cgroup.procs'
			exec setpriv --pdeathsig KILL unshare --mount --pid --uts --ipc --cgroup --fork --kill-child \
			'$0' '$folder' start" || true
		rm -f "$folder/init"
	done
	find "cgroups/$cgroup" -depth -type d -exec rmdir {} +
}

# As its first process, which becomes systemd.
start() {
	# Here /proc is still that of who started it, and so is the number.
	read -r init rest < /proc/self/stat
	cd "$folder/memory"
	mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
	cd root
	if mkdir old 2> /dev/null; then
		# None of the services that this system has, and no word of who builds images.
		rm -rf etc/fstab etc/systemd/system lib/systemd/system/*.wants etc/init.d etc/rc?.d usr/sbin/policy-rc.d
		mkdir -p etc/systemd/system
	fi
	mount -t proc proc proc
	# The parameters of the kernel are everybody's, but for those of this network namespace.
	mount --bind -o ro proc/sys proc/sys
	mount --bind proc/sys/net/ipv4 proc/sys/net/ipv4
	mount -o remount,bind,rw proc/sys/net/ipv4
	mount -t sysfs sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t bpf -o mode=0700 bpf sys/fs/bpf
	mount -t tmpfs -o mode=755 tmpfs run
	mount -t tmpfs tmpfs tmp
	mount -t tmpfs -o mode=755 tmpfs dev
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	for device in null zero full random urandom tty; do
		touch "dev/$device"
		mount --bind "/dev/$device" "dev/$device"
	done
	echo "$init" > "$folder/init"
	pivot_root . old
	umount -l old
	exec env -i container=tcpguard PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --system --unit=multi-user.target < /dev/null > /dev/null 2>&1
}

folder=$1
case ${2-} in
start) start ;;
*) switch_on ;;
esac
