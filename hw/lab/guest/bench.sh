# The bench that every experiment is built on: two NICs, each in a network namespace and with a clock of its own, on one
# link. Sourced by start.sh before the experiment's script.
#
#   namespace  NIC    PCI function   address         clock
#   leader     lead0  0000:01:00.0   10.9.0.1/24     $leader_clock
#   follower   follow0 0000:02:00.0  10.9.0.2/24     $follower_clock
#
# The clocks are virtual ones (/dev/ptpN) over those of the NICs, because QEMU's model breaks a NIC's own as soon as its
# frequency is adjusted.

leader_device=0000:01:00.0
follower_device=0000:02:00.0
leader_address=10.9.0.1
follower_address=10.9.0.2
logs=/tmp/logs
truth=/host$programs/truth
igb_rx_fix=/host$programs/igb_rx_fix

# fail WORDS: the experiment has failed, and why.
fail() {
    echo "$*" >>/out/failures
    echo "FAILED: $*"
}

# note WORDS: a line for the reader of the table.
note() { echo "$*" >>/out/notes; }

# background NAME COMMAND...: runs it until the experiment ends, with its output in a log of that name.
background() {
    local name=$1
    shift
    echo "+ $*" >"$logs/$name"
    "$@" >>"$logs/$name" 2>&1 &
}

# background_until SOCKET NAME COMMAND...: the same, and waits until it listens there: what the host takes to load a program is to be over
# when clocks begin to settle.
background_until() {
    local socket=$1
    shift
    background "$@"
    until_true 600 test -S "$socket" || fail "$1 does not start"
}

# in_memory PROGRAM: reads all of it. Else the guest waits for the host when a page of it is first needed, and its time goes on.
in_memory() { cat "$1" >/dev/null; }

in_leader() { ip netns exec leader "$@"; }
in_follower() { ip netns exec follower "$@"; }

# in_host ROLE COMMAND...: in the host's tree, with the network of that role: how Sidereal runs with the libraries it was built with.
in_host() {
    local role=$1
    shift
    ip netns exec "$role" sh -c 'mount -t sysfs sysfs /host/sys && exec chroot /host "$@"' in_host "$@"
}

# until SECONDS COMMAND...: waits for it to succeed.
until_true() {
    local seconds=$1
    shift
    for ((i = 0; i < seconds * 4; i++)); do
        "$@" && return
        sleep 0.25
    done
    return 1
}

# nics_up: both NICs, their namespaces, addresses and clocks. A player whose name ends on "dpdk" gets its NIC from vfio instead.
nics_up() {
    modprobe igb
    until_true 5 test -d "/sys/bus/pci/devices/$follower_device/ptp" || fail "the NICs have no clocks"
    nic_up leader "$leader_device" "$leader_address" lead0
    nic_up follower "$follower_device" "$follower_address" follow0
    [[ $leader$follower == *dpdk* ]] && return
    until_true 10 link_works || fail "the link does not work"
    ((round_trip_us * 1000 >= 2 * ${delay:-0})) || fail "the link does not have its delay: $round_trip_us us there and back"
}

link_works() {
    local said
    said=$(in_follower ping -q -c 3 -i 0.1 -W 1 "$leader_address") || return
    # rtt min/avg/max/mdev = 0.312/0.345/0.401/0.020 ms
    [[ $said =~ mdev\ =\ ([0-9]+)\.([0-9]{3})/ ]] && round_trip_us=$((10#${BASH_REMATCH[1]}${BASH_REMATCH[2]}))
}

# nic_up ROLE DEVICE ADDRESS NAME
nic_up() {
    local role=$1 device=$2 address=$3 name=$4 physical virtual
    ip netns add "$role"
    ip -n "$role" link set lo up
    if [[ ${!role} == *dpdk ]]; then
        nic_to_vfio "$device"
        # No clock device: its bare counter.
        printf -v "${role}_clock" igb:%s "$device"
        return
    fi
    physical=$(basename "/sys/bus/pci/devices/$device/ptp/"ptp*)
    echo 1 >"/sys/class/ptp/$physical/n_vclocks"
    virtual=$(basename "/sys/class/ptp/$physical/"ptp[0-9]*)
    printf -v "${role}_clock" /dev/%s "$virtual"
    printf -v "${role}_nic" %s "$name"
    ip link set "$(basename "/sys/bus/pci/devices/$device/net/"*)" name "$name" netns "$role"
    ip -n "$role" link set "$name" up
    if [[ -n ${vlan:-} ]]; then
        ip -n "$role" link add link "$name" name "$name.$vlan" type vlan id "$vlan"
        ip -n "$role" link set "$name.$vlan" up
        printf -v "${role}_nic" %s "$name.$vlan"
        ip -n "$role" address add "$address/24" dev "$name.$vlan"
    else
        ip -n "$role" address add "$address/24" dev "$name"
    fi
}

# nic_to_vfio DEVICE: for DPDK; needs QEMU's intel-iommu, and intel_iommu=on on the kernel's command line.
nic_to_vfio() {
    local place=/sys/bus/pci/devices/$1
    modprobe vfio_iommu_type1 allow_unsafe_interrupts=1
    modprobe vfio-pci
    echo vfio-pci >"$place/driver_override"
    echo "$1" >"$place/driver/unbind"
    echo "$1" >/sys/bus/pci/drivers_probe
    [[ $(readlink "$place/driver") == */vfio-pci ]] || fail "vfio-pci does not take $1"
}

# stamps_for_ptp: makes QEMU's NICs stamp what each end has to: Delay_Req arrive at the leader, Sync at the follower.
stamps_for_ptp() {
    if [[ -n ${vlan:-} ]]; then
        # Every frame of a VLAN whose number is 2: the model takes the tag for a PTP header of version 2.
        stamps 0x00 0x00 0x8100
    elif [[ $transport == ethernet ]]; then
        stamps 0x01 0x00 0x88F7
    else
        stamps_for_udp 319
    fi
}

# stamps LEADER_BYTE FOLLOWER_BYTE ETHERTYPE: what arriving packets begin with that get a stamp.
stamps() { background igb_rx_fix "$igb_rx_fix" "$leader_device" "$1" "$3" "$follower_device" "$2" "$3"; }

# stamps_for_udp PORT: for UDP/IPv4 from and to a port.
stamps_for_udp() {
    # A header of IPv4 begins with 0x45; the model takes its TOS for a PTP version, so that of what is sent is made 2.
    stamps 0x45 0x45 0x0800
    local role nic end
    for role in leader follower; do
        nic=${role}_nic
        ip netns exec "$role" tc qdisc add dev "${!nic}" clsact
        for end in sport dport; do
            ip netns exec "$role" tc filter add dev "${!nic}" egress protocol ip u32 match ip protocol 17 0xff \
                match ip "$end" "$1" 0xffff action pedit ex munge ip tos set 0x02 pipe action csum ip
        done
    done
}

# disturb REFERENCE: it runs 20 ppm fast, and the follower's clock starts 1 ms off. That it does is looked at. Where the
# reference is not the leader's own clock but the system's ("realtime+37"), that of the leader starts 1 ms off, too.
disturb() {
    local reference=$1 a b a1 b1 offset drift
    in_memory "$truth"
    # phc_ctl sets a clock to the system clock, which shows UTC: TAI is 37 s ahead.
    case $reference,$follower_clock in
        realtime*) phc_ctl -q CLOCK_REALTIME freq 20000; disturb_clock "$leader_clock" 36.999 0 ;;
        *,realtime*) disturb_clock "$reference" 36.999 20000 ;;
        *) disturb_clock "$reference" 37 20000 ;;
    esac
    disturb_clock "$follower_clock" 37.001 0
    [[ $follower_clock == igb:* ]] && return
    "$truth" "$reference" "$follower_clock" 2 1 >"$logs/disturbed"
    # Not awk: its numbers are too short for nanoseconds since 1970.
    { read -r a b _ && read -r a1 b1 _; } <"$logs/disturbed"
    offset=$((b - a))
    drift=$(((a1 - a - (b1 - b)) * 1000000000 / (a1 - a)))
    echo "disturbed: the follower starts $offset ns off, the reference runs $drift ppb fast"
    ((offset > 500000 && offset < 5000000 && drift > 18000 && drift < 22000)) ||
        fail "the clocks are not disturbed as they should be"
}

# disturb_clock CLOCK SECONDS PPB: sets it so far ahead of the system clock; what is no clock device is left alone.
disturb_clock() { [[ $1 != /dev/* ]] || phc_ctl -q "$1" set adj "$2" freq "$3"; }

# measure CLOCK CLOCK: once the clocks had time to settle, the truth.
measure() {
    sleep "${settle:-45}"
    "$truth" "$1" "$2" "${seconds:-20}" 10 >/tmp/truth
    cp /tmp/truth /out/truth
}
