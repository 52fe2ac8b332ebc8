# The follower's NIC is unplugged while Sidereal follows by it: its clock is lost, its time is held over, and it says so.
. "/lab/guest/players/$leader.sh"
. "/lab/guest/players/$follower.sh"

nics_up
stamps_for_ptp
"lead_by_$leader"
"follow_by_$follower"
follows() { sidereal_says follower ptp | grep -q SLAVE; }
until_true 90 follows || fail "Sidereal does not follow"
sleep 5
echo 1 >"/sys/bus/pci/devices/$follower_device/remove"
sleep 15
# How many readings of the clock failed is no matter; that it is lost is said once.
sidereal_says follower status --json >"$logs/status-follower" || fail "Sidereal does not answer any more"
grep -q '"lost": true' "$logs/status-follower" || fail "the clock is not lost"
grep -q '"state": "holdover"' "$logs/status-follower" || fail "the time is not held over"
[[ $(grep -c "$follower_clock is gone" "$logs/sidereal-follower") == 1 ]] || fail "that the clock is gone was not said once"
