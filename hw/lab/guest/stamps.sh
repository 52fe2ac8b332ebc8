# What a port on DPDK finds out about its NIC's stamps: Sidereal follows ptp4l for a while, and then says what is true of how it was
# built ($dpdk) and of what was done to its NIC ($without_tx_stamps).
. "/lab/guest/players/$leader.sh"
. "/lab/guest/players/$follower.sh"

nics_up
stamps_for_ptp
"lead_by_$leader"
"follow_by_$follower"
# The distribution's DPDK brings so many drivers that loading them takes the emulator long.
until_true 120 grep -q ' serving ' "$logs/sidereal-follower" || fail "Sidereal does not start"
sleep "${settle:-20}"
"check_leader_$leader"
"check_follower_$follower"
