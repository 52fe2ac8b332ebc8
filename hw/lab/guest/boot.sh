#!/bin/busybox sh
# The first program of the guest, out of the initramfs: makes the Debian tree, which the host shares, the root, and goes there.
# What is written goes to memory. Everything is from busybox.
set -e
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
while read -r module; do busybox insmod "/modules/$module"; done </modules/order

for word in $(busybox cat /proc/cmdline); do
    case $word in
        lab.tree=*) tree=${word#lab.tree=} ;;
        lab.home=*) home=${word#lab.home=} ;;
    esac
done
options=trans=virtio,version=9p2000.L,msize=524288
busybox mount -t 9p -o "$options,cache=loose,ro" host /host
busybox mount -t tmpfs -o size=70% memory /memory
busybox mkdir /memory/upper /memory/work
busybox mount -t overlay -o "lowerdir=/host$tree,upperdir=/memory/upper,workdir=/memory/work" overlay /root
busybox mkdir -p /root/host /root/lab /root/out
busybox mount --bind "/host$home" /root/lab
busybox mount -t 9p -o "$options,cache=none" out /root/out
for place in proc sys dev host; do busybox mount --move "/$place" "/root/$place"; done
exec busybox switch_root /root /bin/bash /lab/guest/start.sh
