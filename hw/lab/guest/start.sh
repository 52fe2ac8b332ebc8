#!/bin/bash
# The first program in the guest's Debian tree: prepares what every Linux program expects, runs the experiment's script, leaves
# its outcome in /out and switches the machine off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
for place in run tmp dev/shm dev/pts dev/hugepages; do mkdir -p "/$place"; done
mount -t tmpfs memory /run
mount -t tmpfs memory /tmp
mount -t tmpfs memory /dev/shm
mount -t devpts devpts /dev/pts
mount -t hugetlbfs hugepages /dev/hugepages
# The host's own tree, for Sidereal and its libraries: what is not a file of it is the guest's.
for place in proc sys dev run; do mount --rbind "/$place" "/host/$place"; done
ip link set lo up

# What the experiment is made of (script, leader, follower, ...), written by the host.
set -a
. /out/experiment
set +a
echo "guest: $name starts at $(cut -d' ' -f1 /proc/uptime) s"
mkdir -p /tmp/logs
(
    set -euo pipefail
    . /lab/guest/bench.sh
    . "/lab/guest/$script.sh"
) >/tmp/logs/script 2>&1
status=$?
cp -r /tmp/logs /out/
echo "$status" >/out/status
echo "guest: $name ends with $status at $(cut -d' ' -f1 /proc/uptime) s"
# The port of QEMU's isa-debug-exit.
printf '\0' | dd of=/dev/port bs=1 seek=$((0xf4)) status=none
