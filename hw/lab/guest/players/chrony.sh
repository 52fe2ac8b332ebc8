# chrony with hardware stamps, by NTP; over PTP where $port is PTP's.

# What it serves, or steers: the system clock, which shows UTC. Nobody else in the guest goes by that.
chrony_clock=realtime+37

# chrony_start ROLE LINES OPTION...
chrony_start() {
    local role=$1 lines=$2 nic=${1}_nic
    shift 2
    # Its package is only unpacked here.
    id -u _chrony >/dev/null 2>&1 || useradd --system _chrony
    install -d -m 750 -o _chrony -g _chrony "/run/chrony-$role"
    cat >"/tmp/chrony-$role.conf" <<END
$lines
hwtimestamp ${!nic} rxfilter ptp minpoll -4
$([[ $port == 123 ]] || echo "ptpport $port")
cmdport 0
bindcmdaddress /run/chrony-$role/socket
pidfile /run/chrony-$role/pid
END
    background_until "/run/chrony-$role/socket" "chrony-$role" "in_$role" chronyd -d "$@" -f "/tmp/chrony-$role.conf"
}

chrony_says() {
    local role=$1
    shift
    chronyc -h "/run/chrony-$role/socket" "$@"
}

lead_by_chrony() {
    # With -x it leaves the clock alone.
    chrony_start leader "local stratum 1
allow" -x
}

follow_by_chrony() {
    local over_ptp
    [[ $port == 123 ]] || over_ptp="port $port extfield 10A"
    chrony_start follower "server $leader_address minpoll -2 maxpoll -2 xleave ${over_ptp:-}
makestep 0.0001 3"
}

check_leader_chrony() {
    chrony_says leader serverstats >"$logs/serverstats-leader"
    grep -q 'NTP hardware TX timestamps *: [1-9]' "$logs/serverstats-leader" || fail "chrony has no hardware stamps of what it sends"
    grep -q 'NTP hardware RX timestamps *: [1-9]' "$logs/serverstats-leader" || fail "chrony has no hardware stamps of what it receives"
}

check_follower_chrony() {
    local said=$logs/chronyc-follower
    chrony_says follower ntpdata >"$said"
    chrony_says follower sourcestats >>"$said"
    grep -q 'Interleaved *: Yes' "$said" || fail "chrony is not served interleaved"
    grep -q 'TX timestamping *: Hardware' "$said" || fail "chrony has no hardware stamps of what it sends"
    grep -q 'RX timestamping *: Hardware' "$said" || fail "chrony has no hardware stamps of what it receives"
}
