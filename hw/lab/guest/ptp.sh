# One program leads, another follows, by PTP. Which ones, and over what, is said by $leader, $follower, $transport (ethernet,
# udp_ipv4), $delay and $vlan. How a program leads and follows is said in players/.
. "/lab/guest/players/$leader.sh"
. "/lab/guest/players/$follower.sh"

nics_up
stamps_for_ptp
reference=${leader}_reference
disturb "${!reference:-$leader_clock}"
"lead_by_$leader"
"follow_by_$follower"
measure "$leader_clock" "$follower_clock"
"check_leader_$leader"
"check_follower_$follower"
