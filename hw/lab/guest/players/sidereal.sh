# Sidereal on kernel sockets, with hardware stamps.

run=/run/lab
# What it leads with: the system clock. The NIC's clock is set and steered to it.
sidereal_reference=realtime+37

# sidereal_start ROLE TABLES: runs it in that role's network with `TABLES` beside what every role needs.
sidereal_start() {
    sidereal_config "$1" "$2"
    in_memory "/host$sidereal"
    background_until "$run/$1/control" "sidereal-$1" in_host "$1" "$sidereal" run --config "$run/$1/sidereal.toml"
}

# sidereal_config ROLE TABLES: writes that role's configuration.
sidereal_config() {
    local role=$1 tables=$2 nic=${1}_nic clock=${1}_clock address=${1}_address
    # It refuses a directory that others may write to, or read its keys from.
    (umask 077 && mkdir -p "$run/$role/state")
    cat >"$run/$role/sidereal.toml" <<END
mode = "single"

[[port]]
name = "lab"
backend = "kernel"
interface = "${!nic}"
addresses = ["${!address}"]
timestamps = "hardware"
hardware_clock = "${!clock}"

[ops]
socket = "$run/$role/control"

[state]
directory = "$run/$role/state"

$tables
END
}

# sidereal_says ROLE COMMAND...
sidereal_says() {
    local role=$1
    shift
    in_host "$role" "$sidereal" "$@" --socket "$run/$role/control"
}

# record_model ROLE: writes down, as often as that is told anew, what its first clock that has a model says: which time belongs to
# which raw tick.
# By that the driver turns the ticks of a bare counter among the truth into Sidereal's time.
record_model() {
    local role=$1
    while sleep 1; do
        # There is none at first.
        sidereal_says "$role" status --json | tr -d ' \n' | grep -o -m 1 '"model":{[^}]*}' || true
    done >"/out/models-$role"
}

# What `[[ptp]]` is in both roles.
sidereal_ptp() {
    cat <<END
[[ptp]]
name = "lab"
$1
[[ptp.port]]
port = "lab"
transport = "$transport"
log_sync_interval = -2
log_min_delay_req_interval = -2
log_announce_interval = 0
END
}

# Follows by PTP; the NIC's clock is steered, the system clock is not touched.
follow_by_sidereal() {
    sidereal_start follower "$(sidereal_ptp 'slave_only = true')

[clock]
reference = \"sources\"
steer = \"off\"

[[ptp_clock]]
device = \"$follower_clock\"
steer = \"on\""
}

check_follower_sidereal() {
    sidereal_says follower status --json >"$logs/status-follower" || fail "Sidereal does not answer"
    sidereal_says follower ptp --json >"$logs/ptp-follower" || true
    sidereal_says follower sources --json >"$logs/sources-follower" || true
    grep -q '"port_state": *"SLAVE"' "$logs/ptp-follower" || fail "Sidereal does not follow"
}

lead_by_sidereal() {
    sidereal_start leader "$(sidereal_ptp 'priority1 = 10')

[clock]
reference = \"system\"
steer = \"off\"

[[ptp_clock]]
device = \"$leader_clock\"
steer = \"on\""
}

check_leader_sidereal() {
    sidereal_says leader status --json >"$logs/status-leader" || fail "Sidereal does not answer"
    sidereal_says leader ptp --json >"$logs/ptp-leader" || true
    grep -q '"port_state": *"MASTER"' "$logs/ptp-leader" || fail "Sidereal does not lead"
}
