# chrony with hardware stamps, by NTP; over PTP where $port is PTP's. It measures and steers nothing, because the guest has one system
# clock, and whoever is to be compared with it must not feel what chrony does to that.

# What it leads and follows with: the system clock, which shows UTC.
chrony_clock=realtime+37

# chrony_start ROLE LINES
chrony_start() {
    local role=$1 nic=${1}_nic
    # Its package is only unpacked here.
    id -u _chrony >/dev/null 2>&1 || useradd --system _chrony
    mkdir -p -m 700 "/run/chrony-$role"
    cat >"/tmp/chrony-$role.conf" <<END
$2
hwtimestamp ${!nic} rxfilter ptp minpoll -4
$([[ $port == 123 ]] || echo "ptpport $port")
cmdport 0
bindcmdaddress /run/chrony-$role/socket
pidfile /run/chrony-$role/pid
END
    background "chrony-$role" "in_$role" chronyd -u root -x -d -f "/tmp/chrony-$role.conf"
}

chrony_says() {
    local role=$1
    shift
    chronyc -h "/run/chrony-$role/socket" "$@"
}

lead_by_chrony() {
    chrony_start leader "local stratum 1
allow"
}

follow_by_chrony() {
    local over_ptp
    [[ $port == 123 ]] || over_ptp="port $port extfield 10A"
    chrony_start follower "server $leader_address minpoll -2 maxpoll -2 xleave ${over_ptp:-}"
}

# measure_by_chrony: instead of what two clocks show, two statements on how far the leader is ahead of the system clock: what is true,
# and what chrony says. The truth is read before and after, and its middle counts.
measure_by_chrony() {
    local samples=$((${seconds:-20} * 5)) said a b a1 b1 window
    sleep "${settle:-45}"
    for ((i = 0; i < samples; i++)); do
        read -r a b window <<<"$(truth_now)"
        said=$(chrony_says follower -c sourcestats | cut -d, -f7)
        read -r a1 b1 _ <<<"$(truth_now)"
        echo "$(((a - b + a1 - b1) / 2)) $(nanoseconds "$said") $window"
        sleep 0.1
    done >/tmp/truth
    cp /tmp/truth /out/truth
}

truth_now() { "$truth" "$leader_clock" "$chrony_clock" 0.0015 1000; }

# nanoseconds SECONDS: -0.000312642 is -312642.
nanoseconds() {
    local digits=${1//[-+.]/}
    [[ $1 != -* ]] || echo -n -
    echo $((10#$digits))
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
