# One program serves the time of its NIC's clock by NTP, another follows it. Which ones is said by $leader and $follower; how, in
# players/. $port is 123, or 319 for NTP over PTP.
. "/lab/guest/players/$leader.sh"
. "/lab/guest/players/$follower.sh"

nics_up
stamps_for_udp "$port"
disturb "$leader_clock"
"lead_by_$leader"
"follow_by_$follower"
measure "$leader_clock" "$follower_clock"
"check_leader_$leader"
"check_follower_$follower"
