# Process 1 of a machine, until it execs the machine's own. The environment gives NAME, LOWER, UPPER, WORK and POINT;
# a line on standard input says that the network is plugged in. Where engines are to run, or systemd, CGROUPS has the commands
# that mount the control groups, and INNER the layers that containers are made of.
set -eu
hostname "$NAME"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$POINT"
cd "$POINT"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for x in null zero full random urandom tty; do
	: >dev/$x
	mount --bind /dev/$x dev/$x
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=1777 tmpfs var/tmp
mkdir run/sshd run/lock
eval "${CGROUPS-}"
if [ -n "${INNER-}" ]; then
	mkdir -p opt/inner
	mount -t overlay -o "ro,lowerdir=$INNER" overlay opt/inner
	# An overlay cannot be stacked on this one for writing, and what an engine stores is not what the machine changed.
	for d in containers docker incus lxc lxd machines engines; do
		mkdir -p var/lib/$d
		mount -t tmpfs -o mode=711 tmpfs var/lib/$d
	done
fi
mkdir .old
pivot_root . .old
umount -l /.old
rmdir /.old
read -r _
# The environment of a freshly started machine, not that of the test.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@" </dev/null
