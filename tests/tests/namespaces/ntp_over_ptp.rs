//! NTP that PTP carries (RFC 10030): Sidereal asks Sidereal, beside PTP itself on the same port, and what passes is PTP.

use core::time::Duration;

use core::net::Ipv4Addr;
use sidereal_tests::{
    Capture, Net, Options, Recording, Result, SERVER_IPV4, Sidereal, Source, Sources, TransparentClock, Transport,
};

use crate::sources::assert_serves_right;

const DEADLINE: Duration = Duration::from_secs(60);
const KEYS: &str = "4 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";
/// So many measurements, and the beginning is over.
const SETTLED: u64 = 8;

/// The leader's side: it answers NTP by PTP, and leads PTP on the same port.
const SERVER: &str = "[clock]\nreference = \"system\"\n[ntp.server]\nover_ptp = true\n\
                      [[ptp]]\nname = \"leads\"\n[[ptp.port]]\nport = \"lan0\"\ntransport = \"udp_ipv4\"\nmaster_only = true\n\
                      log_sync_interval = -3\nlog_min_delay_req_interval = -3\n";

/// Who asks: both networks, with a key and without, interleaved and not, and PTP as well.
const CLIENT: &str = "[[ntp.source]]\nname = \"keyed\"\naddress = \"10.77.0.1\"\nover_ptp = true\nkey = 4\n\
                      interleaved = true\nmin_poll = -2\nmax_poll = 0\n\
                      [[ntp.source]]\nname = \"plain\"\naddress = \"fd77::1\"\nover_ptp = true\nmin_poll = -2\nmax_poll = 0\n\
                      [[ptp]]\nname = \"follows\"\nslave_only = true\n\
                      [[ptp.port]]\nport = \"lan0\"\ntransport = \"udp_ipv4\"\n\
                      [selection]\nauthentication = \"ignore\"\n";

/// The length of a question and its answer: the prefix of PTP, NTP's header, the Network Correction field; and a MAC.
const PLAIN_LEN: usize = 56 + 48 + 28;
const KEYED_LEN: usize = PLAIN_LEN + 20;

#[test]
fn ptp_carries_ntp_on_kernel_sockets() -> Result<()> {
    ptp_carries_ntp(Transport::Kernel)
}

#[test]
fn ptp_carries_ntp_in_single_mode() -> Result<()> {
    ptp_carries_ntp(Transport::Single)
}

#[test]
fn ptp_carries_ntp_on_dpdk() -> Result<()> {
    ptp_carries_ntp(Transport::Dpdk)
}

/// Who asks through a transparent clock: beside the server, so that what is measured is the error.
const ASKER: &str = "[ntp.server]\nport = 1123\n[[ntp.source]]\nname = \"kept\"\naddress = \"10.77.0.7\"\nover_ptp = true\n\
                     interleaved = true\nmin_poll = -2\nmax_poll = 0\n";

#[test]
fn what_switches_kept_is_taken_away() -> Result<()> {
    Net::run("kept", Transport::Kernel.link(), |net| {
        let addresses = [7, 8].map(|number| Ipv4Addr::new(10, 77, 0, number));
        addresses.iter().try_for_each(|address| net.client().add_address(&format!("{address}/24")))?;
        let [near, far] = addresses;
        let tables = "[clock]\nreference = \"system\"\n[ntp.server]\nover_ptp = true\n";
        let server = Sidereal::start(net, &options(Transport::Kernel, tables))?;
        let _switch = TransparentClock::start(net.client(), near, far, SERVER_IPV4)?;
        let mut asker = Sidereal::launch(net.server(), "asker", &options(Transport::Kernel, ASKER))?;
        let [shortest, _] = TransparentClock::RESIDENCE;
        let number = |source: Source<'_>, key| u128::try_from(source.number(key).unwrap_or(-1)).unwrap_or(u128::MAX);
        // A message is kept on both ways; what is left of the delay is what the sockets and threads between took.
        let is_corrected = |kept: Source<'_>| {
            kept.count("measured_corrected") >= SETTLED
                && kept.is("interleaved")
                && number(kept, "delay_ns") < shortest.as_nanos()
        };
        let sources = asker.sources_until("corrected round trips", DEADLINE, |sources| {
            sources.named("kept").is_ok_and(is_corrected)
        })?;
        let kept = sources.named("kept")?;
        // Nobody vouches for a switch: half of the whole delay stays in the bound.
        assert!(number(kept, "bound_ns") >= shortest.as_nanos(), "{kept}");
        asker.stop()?;
        server.stop()
    })
}

fn options(transport: Transport, tables: &str) -> Options {
    Options { bound: true, keys: Some(KEYS.into()), tables: tables.into(), ..Options::new(transport) }
}

fn ptp_carries_ntp(transport: Transport) -> Result<()> {
    Net::run(&format!("carried-{}", transport.name()), transport.link(), |net| {
        let server = Sidereal::start(net, &options(transport, SERVER))?;
        let capture = Capture::start(net.client())?;
        let mut client = Sidereal::launch(net.client(), "client", &options(Transport::Kernel, CLIENT))?;
        let is_heard =
            |source: Source<'_>| source.count("measured") >= SETTLED && source.number("reach") == Some(0o377);
        let heard = |sources: &Sources| ["keyed", "plain"].iter().all(|name| sources.named(name).is_ok_and(is_heard));
        let sources = client.sources_until("answers by PTP", DEADLINE, |sources| {
            heard(sources)
                && sources.named("keyed").is_ok_and(|keyed| keyed.count("measured_interleaved") >= SETTLED)
                && sources.named("follows").is_ok_and(|follows| follows.count("measured") >= SETTLED)
        })?;
        let keyed = sources.named("keyed")?;
        assert!(keyed.is("authenticated") && keyed.is("interleaved"), "{keyed}");
        for name in ["keyed", "plain"] {
            let source = sources.named(name)?;
            assert_eq!(source.number("stratum"), Some(1), "{source}");
            // No switch on the way says that it kept anything.
            assert_eq!((source.count("measured_corrected"), source.count("corrections_refused")), (0, 0), "{source}");
        }
        let status = server.status()?;
        match transport {
            Transport::Dpdk | Transport::DpdkXdp => assert!(status.count("replies_over_ptp") > 0, "{status}"),
            Transport::Kernel | Transport::Single => {
                let of_port = |name: &str| status.get(&format!("/ports/0/counts/over_ptp_{name}")).cloned();
                let count = |name| of_port(name).and_then(|count| count.as_u64()).unwrap_or(0);
                assert!(count("basic") >= SETTLED && count("interleaved_authenticated") >= SETTLED, "{status}");
                assert!(count("stamps_taken") >= SETTLED, "{status}");
            }
        }
        // The ordinary port is served beside it.
        assert_serves_right(net.client())?;
        client.stop()?;
        server.stop()?;
        let recording = capture.stop()?;
        assert_is_ptp(&recording)
    })
}

/// All that carries NTP is PTP as everybody knows it, from and to its port, and answers are as long as their questions.
fn assert_is_ptp(recording: &Recording) -> Result<()> {
    let carried = "ptp && (udp.length == 140 || udp.length == 160)";
    recording.faultless(carried)?;
    recording.faultless("ptp")?;
    for (length, network) in [(PLAIN_LEN, "ipv6.src == fd77::1"), (KEYED_LEN, "ip.src == 10.77.0.1")] {
        let way = "udp.srcport == 319 && udp.dstport == 319 && ptp.v2.messagetype == 1 && ptp.v2.domainnumber == 123 \
                   && ptp.v2.flags.unicast == 1 && ptp.v2.correction.ns == 0";
        let answers = recording.count(&format!("{way} && ptp.v2.messagelength == {length} && {network}"))?;
        let questions = recording.count(&format!("{way} && ptp.v2.messagelength == {length} && !({network})"))?;
        assert!(answers as u64 >= SETTLED && questions >= answers, "{questions} of {length} bytes, {answers} answered");
    }
    Ok(())
}
