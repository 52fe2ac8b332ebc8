# What `sidereal hw`, `hw check` and `status` say of NICs and clocks of the kernel's, beside what ethtool, hwstamp_ctl and sysfs say
# of the same. What is expected comes from them; nothing is known beforehand.
. "/lab/guest/players/$leader.sh"
. "/lab/guest/players/$follower.sh"

# look ROLE NAME COMMAND...: what `sidereal COMMAND` says in that role's network, kept as logs/NAME; its exit status is then in $status.
look() {
    local role=$1 name=$2
    shift 2
    said=$logs/$name
    status=0
    in_host "$role" "$sidereal" "$@" >"$said" 2>&1 || status=$?
}

# says WORDS, ends_with STATUS: of the last look.
says() { grep -qF -- "$1" "$said" || fail "${said##*/} does not say: $1"; }
ends_with() { [[ $status == "$1" ]] || fail "${said##*/} ends with $status"; }

# hw_is_true ROLE: what `sidereal hw` says of that role's NIC.
hw_is_true() {
    local role=$1 nic=${1}_nic place index stamped=PTP filters
    nic=${!nic}
    of_ethtool() { ip netns exec "$role" ethtool "$1" "$nic" | sed -n "s/^$2: *//p"; }
    look "$role" "hw-$role" hw
    ends_with 0
    says "$nic  up  driver $(of_ethtool -i driver)  firmware $(of_ethtool -i firmware-version)"
    place=$(of_ethtool -i bus-info)
    says "  $place  $(sed s/0x// "/sys/bus/pci/devices/$place/vendor"):$(sed s/0x// "/sys/bus/pci/devices/$place/device")  "
    index=$(of_ethtool -T "PTP Hardware Clock")
    clock_is_true "/sys/class/ptp/ptp$index"
    filters=$(ip netns exec "$role" ethtool -T "$nic" | sed -n '/^Hardware Receive Filter Modes:/,$ s/^\t//p' | paste -sd ' ')
    says "  RX filters $filters; set to $(filter_by_hwstamp_ctl "$role" "$nic")"
    [[ " $filters " != *" all "* ]] || stamped=every
    says "  - RX stamps: hardware, stored with the packet ($stamped"
    says "  - TX stamps: hardware"
}

# clock_is_true FOLDER: what it says of the clock that sysfs has there.
clock_is_true() {
    local device=/dev/${1##*/} above
    says "  clock $device ($(cat "$1/clock_name")), frequency to $(cat "$1/max_adjustment") ppb, read by "
    if [[ $(cat "$1/n_vclocks") == 0 ]]; then
        says "  - clock can be set: yes"
        says "  - stamps are told by $device"
    else
        above=$(basename "$1/"ptp[0-9]*)
        says "  - clock can be set: no"
        says "  - $device runs free under virtual clocks: write \`hardware_clock = \"/dev/$above\"\`"
    fi
}

# filter_by_hwstamp_ctl ROLE NIC: what the NIC is set to stamp; the numbers are those of linux/net_tstamp.h.
filter_by_hwstamp_ctl() {
    local names=([0]=none [1]=all [12]=ptpv2-event)
    echo "${names[$(ip netns exec "$1" hwstamp_ctl -i "$2" | sed -n 's/^rx_filter //p')]}"
}

nics_up
for role in leader follower; do hw_is_true $role; done

# The same NIC without a virtual clock over its own.
physical=/sys/class/ptp/$(basename "/sys/bus/pci/devices/$leader_device/ptp/"ptp*)
echo 0 >"$physical/n_vclocks"
hw_is_true leader
echo 1 >"$physical/n_vclocks"
leader_clock=/dev/$(basename "$physical/"ptp[0-9]*)

# A rival on the clock that Sidereal is to steer: while it is there, and not before or after.
sidereal_config follower "[[ptp_clock]]
device = \"$follower_clock\"
steer = \"on\""
look follower check-alone hw check "$run/follower/sidereal.toml"
ends_with 0
says "good  rivals"
follow_by_ptp4l
until_true 10 pidof ptp4l >/dev/null
rival=$(pidof ptp4l)
until_true 10 eval "ls -l /proc/$rival/fd | grep -q ' $follower_clock\$'" || fail "ptp4l does not hold $follower_clock"
look follower check-rival hw check "$run/follower/sidereal.toml"
ends_with 1
says "WRONG rivals: ptp4l (process $rival) may steer $follower_clock, which sidereal is to steer"
kill "$rival"
until_true 10 eval "! pidof ptp4l >/dev/null"
look follower check-after hw check "$run/follower/sidereal.toml"
ends_with 0

# A Sidereal that runs: what `hw` says of its port is what `status` says. A filter that somebody narrows is noticed.
lead_by_sidereal
config=$run/leader/sidereal.toml
look leader hw-running hw "$config"
says "port lab  kernel on $leader_nic  (as the running sidereal found it)"
sidereal_says leader status | sed -n 's/^  lab: /- /p' >"$logs/capabilities"
[[ -s $logs/capabilities ]] || fail "status says nothing of its port"
while read -r line; do says "$line"; done <"$logs/capabilities"
look leader check-running hw check "$config"
ends_with 0
needed=$(filter_by_hwstamp_ctl leader "$leader_nic")
in_leader hwstamp_ctl -i "$leader_nic" -t 0 -r 0 >/dev/null
look leader check-narrowed hw check "$config"
ends_with 1
says "WRONG stamp_filters: $leader_nic is set to stamp none and nothing that is sent, and port \"lab\" needs $needed"

# Once it has ended: what is to be expected of its port is what was found when it was open.
kill "$(pidof "${sidereal##*/}")"
until_true 10 eval "! pidof ${sidereal##*/} >/dev/null"
look leader hw-expected hw "$config"
says "port lab  kernel on $leader_nic  (not open: what is to be expected)"
grep -E '^- (RX stamps|TX stamps|clock )' "$logs/capabilities" >"$logs/of-stamps"
while read -r line; do says "$line"; done <"$logs/of-stamps"
