# linuxptp's ptp4l, with hardware stamps.

ptp4l_common() {
    local clock=$1
    cat <<END
[global]
clock_servo pi
time_stamping hardware
phc_index ${clock#/dev/ptp}
tx_timestamp_timeout 200
logSyncInterval -2
logMinDelayReqInterval -2
logAnnounceInterval 0
network_transport $([[ $transport == ethernet ]] && echo L2 || echo UDPv4)
delay_mechanism E2E
END
}

lead_by_ptp4l() {
    { ptp4l_common "$leader_clock"; printf '%s\n' "priority1 10" "uds_address /run/leader"  "uds_ro_address /run/leader-ro"; } >/tmp/leader.conf
    background_until /run/leader ptp4l-leader in_leader ptp4l -m -q -f /tmp/leader.conf -i "$leader_nic"
}

follow_by_ptp4l() {
    { ptp4l_common "$follower_clock"; printf '%s\n' "clientOnly 1" "uds_address /run/follower" "uds_ro_address /run/follower-ro"; } >/tmp/follower.conf
    background_until /run/follower ptp4l-follower in_follower ptp4l -m -q -f /tmp/follower.conf -i "$follower_nic"
}

check_leader_ptp4l() { grep -q 'to MASTER' "$logs/ptp4l-leader" || fail "ptp4l does not lead"; }
check_follower_ptp4l() { grep -q 'to SLAVE' "$logs/ptp4l-follower" || fail "ptp4l does not follow"; }
