# As ptp.sh, but the link of the follower's NIC goes down and up before the truth is read: its driver resets the NIC, and the
# clock jumps. Who follows has to see that nobody set it, and follow again.
. "/lab/guest/players/$leader.sh"
. "/lab/guest/players/$follower.sh"

nics_up
stamps_for_ptp
disturb "$leader_clock"
"lead_by_$leader"
"follow_by_$follower"
follows() { sidereal_says follower ptp | grep -q SLAVE; }
until_true 90 follows || fail "Sidereal does not follow"
sleep 10
in_follower ip link set "$follower_nic" down
sleep 3
in_follower ip link set "$follower_nic" up
measure "$leader_clock" "$follower_clock"
"check_leader_$leader"
"check_follower_$follower"
grep -q "its driver has reset it" "$logs/sidereal-follower" || fail "nobody saw that the clock was reset"
