# Sidereal on DPDK: the NIC's bare counter runs free, and its stamps come out of its registers. $dpdk says which DPDK: "ieee1588" is
# that of hw/dpdk/build, without it the distribution's, whose driver of this NIC takes no stamps.
. /lab/guest/players/sidereal.sh

sidereal_dpdk_reference=$sidereal_reference

# sidereal_dpdk_start ROLE TABLES
sidereal_dpdk_start() {
    local role=$1 tables=$2 device=${1}_device address=${1}_address
    modprobe tun
    (umask 077 && mkdir -p "$run/$role/state")
    cat >"$run/$role/sidereal.toml" <<END
[[port]]
name = "lab"
backend = "dpdk"
device = "${!device}"
addresses = ["${!address}/24"]

[workers]
idle = "sleep"

[dpdk]
hugepages = false
memory_mib = 96

[ops]
socket = "$run/$role/control"

[state]
directory = "$run/$role/state"

$tables
END
    if [[ -n ${without_tx_stamps:-} ]]; then
        # shellcheck disable=SC2086 # it may be two words
        background igb_no_tx_stamps "/host$programs/igb_no_tx_stamps" "${!device}" $without_tx_stamps
    fi
    in_memory "/host$sidereal"
    background_until "$run/$role/control" "sidereal-$role" in_host "$role" env ${libraries:+LD_LIBRARY_PATH="$libraries"} \
        "$sidereal" run --config "$run/$role/sidereal.toml"
    background "models-$role" record_model "$role"
}

follow_by_sidereal_dpdk() {
    sidereal_dpdk_start follower "$(sidereal_ptp 'slave_only = true')

[clock]
reference = \"sources\"
steer = \"off\""
}

check_follower_sidereal_dpdk() {
    check_follower_sidereal
    check_stamps follower
}

lead_by_sidereal_dpdk() {
    sidereal_dpdk_start leader "$(sidereal_ptp 'priority1 = 10')

[clock]
reference = \"system\"
steer = \"off\""
}

check_leader_sidereal_dpdk() {
    check_leader_sidereal
    check_stamps leader
}

# check_stamps ROLE: it says what is true of the stamps of its port.
check_stamps() {
    local says="$logs/status-$1" hw="$logs/hw-$1" rx="hardware, one register (PTP alone) [tried]" tx="hardware, one packet at a time [tried]" words
    [[ -n ${libraries:-} ]] || rx="software (the program's clock when the burst is found) [tried; "
    [[ -n ${libraries:-} && ${without_tx_stamps:-} != always ]] || tx="software (the program's clock when the burst is sent) [tried; "
    in_host "$1" env ${libraries:+LD_LIBRARY_PATH="$libraries"} "$sidereal" hw "$run/$1/sidereal.toml" >"$hw" || fail "hw does not end well"
    for words in "RX stamps: $rx" "TX stamps: $tx"; do
        grep -qF "$words" "$says" || fail "status does not say: $words"
        grep -qF -- "- $words" "$hw" || fail "hw does not say: $words"
    done
    # That this device is not the kernel's any more, and may be given away, is what `hw check` looks at.
    in_host "$1" "$sidereal" hw check "$run/$1/sidereal.toml" >"$hw-check" || true
    for words in iommu vfio; do
        grep -qxF "good  $words" "$hw-check" || fail "hw check does not find $words good"
    done
    [[ ${without_tx_stamps:-always} == always ]] || grep -q '"tx_latch_lost": *[1-9]' "$says" || fail "no stamp was lost"
    grep -oE '"[RT]X stamps: [^"]*"' "$says" | while read -r words; do note "$words"; done
}
