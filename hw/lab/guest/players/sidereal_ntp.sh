# Sidereal with NTP on kernel sockets, with hardware stamps; over PTP where $port is PTP's.
. /lab/guest/players/sidereal.sh

[[ $port == 319 ]] && over_ptp=true || over_ptp=false

# Serves the time of the NIC's clock, and steers nothing.
lead_by_sidereal_ntp() {
    sidereal_start leader "[ntp.server]
over_ptp = $over_ptp

[clock]
reference = \"sources\"
steer = \"off\"

[[reference_clock]]
name = \"nic\"
kind = \"ptp\"
device = \"$leader_clock\"
reference_id = \"PHC\"
poll = 0"
}

# Follows, and steers the NIC's clock.
follow_by_sidereal_ntp() {
    sidereal_start follower "[[ntp.source]]
address = \"$leader_address\"
name = \"leader\"
over_ptp = $over_ptp
interleaved = true
min_poll = -2
max_poll = -2

[clock]
reference = \"sources\"
steer = \"off\"

[[ptp_clock]]
device = \"$follower_clock\"
steer = \"on\""
}

check_leader_sidereal_ntp() {
    sidereal_says leader status --json >"$logs/status-leader" || fail "the leader does not answer"
    grep -q '"synchronised": true' "$logs/status-leader" || fail "the leader has no time"
}

check_follower_sidereal_ntp() {
    sidereal_says follower status --json >"$logs/status-follower" || fail "the follower does not answer"
    sidereal_says follower sources --json >"$logs/sources-follower" || true
    grep -q '"system_peer": "leader"' "$logs/status-follower" || fail "the follower does not follow"
}
