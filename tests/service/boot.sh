#!/bin/bash
# boot.sh WORK INSTALLED: runs systemd as process 1 of namespaces of its own, on an overlay of the whole file system:
# what is written is gone with it. WORK is an empty folder; what is below INSTALLED lies over the file system, with
# /etc/pairsocks empty. The network is the caller's. Called by machine.py, which ends it.
set -eu
work=$1
installed=$2

mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
cp -a "$installed/." "$work/upper/"
root=$work/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for folder in tmp run; do
    mount -t tmpfs -o mode=755 tmpfs "$root/$folder"
done
chmod 1777 "$root/tmp"
rm -rf "$root/etc/pairsocks"
mkdir -p "$root/run/lock" "$root/run/systemd" "$root/mnt/old"

cd "$root"
pivot_root . mnt/old
export container=pairsocks-test
# Without the old root's mounts: nothing that runs in here reaches the real file system.
exec chroot . /bin/bash -c 'umount -l /mnt/old && exec /lib/systemd/systemd --system --unit=basic.target \
    --log-target=console --show-status=0 --log-level=warning'
