# One program serves the time of its clock by NTP, another follows it. Which ones is said by $leader and $follower; how, in players/.
# $port is 123, or 319 for NTP over PTP. The clock is that of the NIC where the player does not name another.
. "/lab/guest/players/$leader.sh"
. "/lab/guest/players/$follower.sh"

nics_up
stamps_for_udp "$port"
for role in leader follower; do
    clock=${!role}_clock
    [[ -z ${!clock:-} ]] || printf -v "${role}_clock" %s "${!clock}"
done
disturb "$leader_clock"
"lead_by_$leader"
"follow_by_$follower"
measure "$leader_clock" "$follower_clock"
"check_leader_$leader"
"check_follower_$follower"
