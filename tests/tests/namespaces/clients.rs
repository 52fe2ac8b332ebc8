//! The field's clients follow Sidereal, over each transport.

use core::time::Duration;
use std::fs;

use sidereal_tests::{
    CLIENT_IPV4, Capture, Chronyd, Error, Net, NtpdRs, Options, Result, SERVER_IPV4, SERVER_IPV6, Sidereal, Transport,
    ntpdig, until_some,
};

use crate::request::{exchange, now, request, socket};

const DEADLINE: Duration = Duration::from_secs(30);
/// Good replies that a client must have before it is judged.
const GOOD_REPLIES: u64 = 8;
/// Both ends share one clock: what is measured is the error. A busy machine explains microseconds, not milliseconds.
const OFFSET_LIMIT_S: f64 = 1e-3;

/// Exchanges whose times are checked, and the error that the server may admit at most: 1 ms, in units of 2^-32 s.
const EXCHANGES: usize = 50;
const ERROR_LIMIT: u64 = (1 << 32) / 1000;

const KEYS: &str = "\
1 MD5 HEX:0102030405060708090A0B0C0D0E0F10
2 SHA1 HEX:1112131415161718191A1B1C1D1E1F2021222324
3 SHA256 HEX:303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F
4 AES128 HEX:404142434445464748494A4B4C4D4E4F
5 AES256 HEX:505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F
6 SHA512 HEX:707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F
";

const CLOCK: &str =
    "[clock]\nreference = \"system\"\nstratum = 2\nreference_id = \"TEST\"\nroot_dispersion = \"1us\"\n";

/// A chronyd client: its name, what follows its server's address, whether it asks over IPv6.
struct Case {
    name: &'static str,
    options: &'static str,
    ipv6: bool,
}

const CASES: [Case; 10] = [
    Case { name: "ipv4", options: "", ipv6: false },
    Case { name: "ipv6", options: "", ipv6: true },
    Case { name: "version3", options: "version 3", ipv6: false },
    Case { name: "md5", options: "key 1", ipv6: false },
    Case { name: "sha1", options: "key 2", ipv6: false },
    Case { name: "sha256", options: "key 3", ipv6: true },
    Case { name: "aes128", options: "key 4", ipv6: false },
    Case { name: "aes256", options: "key 5", ipv6: false },
    Case { name: "xleave", options: "xleave", ipv6: false },
    Case { name: "xleave-aes128", options: "xleave key 4", ipv6: true },
];

#[test]
fn over_dpdk() -> Result<()> {
    clients_follow(Transport::Dpdk)
}

#[test]
fn over_kernel_sockets() -> Result<()> {
    clients_follow(Transport::Kernel)
}

#[test]
fn in_single_mode() -> Result<()> {
    clients_follow(Transport::Single)
}

fn clients_follow(transport: Transport) -> Result<()> {
    Net::run(transport.name(), transport.link(), |net| {
        let options = Options { keys: Some(KEYS.into()), tables: CLOCK.into(), ..Options::new(transport) };
        let server = Sidereal::start(net, &options)?;
        let keys = net.client().directory().join("keys");
        fs::write(&keys, KEYS).map_err(Error::io("keys"))?;
        let capture = Capture::start(net.client())?;

        let mut clients = Vec::new();
        for case in &CASES {
            let address = if case.ipv6 { SERVER_IPV6.to_string() } else { SERVER_IPV4.to_string() };
            let source = format!("{address} {}", case.options);
            clients.push((case, Chronyd::client(net.client(), case.name, &source, Some(&keys))?));
        }
        let mut ntpd_rs = NtpdRs::client(net.client(), "ntpd-rs", &[SERVER_IPV4.into(), SERVER_IPV6.into()])?;
        for server in [SERVER_IPV4.into(), SERVER_IPV6.into()] {
            let dig = ntpdig(net.client(), server, None)?;
            assert_eq!((dig.ip, dig.stratum, dig.leap.as_str()), (server, 2, "no-leap"), "{dig:?}");
            assert!(dig.offset_s.abs() < 10.0 * OFFSET_LIMIT_S, "{dig:?}");
        }
        the_times_are_true(net)?;
        for (case, client) in &clients {
            is_well_served(case, client)?;
        }
        assert_eq!(ntpd_rs.synchronised(DEADLINE)?, 3);
        let offsets = ntpd_rs.offsets()?;
        assert!(offsets.len() == 2 && offsets.iter().all(|offset| offset.abs() < OFFSET_LIMIT_S), "{offsets:?}");

        drop((clients, ntpd_rs));
        let recording = capture.stop()?;
        recording.faultless("ntp")?;
        let requests = recording.count("ntp.flags.mode == 3 && !icmp")?;
        let replies = recording.count("ntp.flags.mode == 4 && !icmp")?;
        assert_eq!(requests, replies, "each request has one reply");
        let status = server.status()?;
        assert_eq!(status.all_replies(), replies as u64, "{status}");
        assert_eq!(status.all_drops(), 0, "{status}");
        assert!(status.replies("interleaved") > 0 && status.replies("interleaved_authenticated") > 0, "{status}");
        server.stop()
    })
}

/// Client and server read one clock: a request is received after it was sent, and a reply has arrived after it was sent, but
/// for the error that the server admits.
fn the_times_are_true(net: &Net) -> Result<()> {
    let client = socket(net.client(), CLIENT_IPV4.into())?;
    for _ in 0..EXCHANGES {
        let sent = now()?;
        let reply = exchange(&client, &request())?.ok_or(Error::Unexpected("no reply".into()))?;
        let arrived = now()?;
        let error = u64::from(reply.root_dispersion) << 16;
        assert!(error < ERROR_LIMIT, "{reply:?}");
        let path = [sent - error, reply.receive, reply.transmit, arrived + error];
        assert!(path.is_sorted(), "{path:x?}");
    }
    Ok(())
}

fn is_well_served(case: &Case, client: &Chronyd<'_>) -> Result<()> {
    let name = case.name;
    let interleaved = case.options.contains("xleave");
    until_some(&format!("{name} selecting the server"), DEADLINE, || {
        let (source, data) =
            client.source().and_then(|source| Ok((source, client.ntp_data()?))).map_err(|e| e.to_string())?;
        let settled = source.selected && data.good >= GOOD_REPLIES && data.interleaved == interleaved;
        if settled && source.offset_s.abs() < OFFSET_LIMIT_S { Ok(()) } else { Err(format!("{source:?} {data:?}")) }
    })?;
    let data = client.ntp_data()?;
    assert_eq!(data.stratum, 2, "{name}: {data:?}");
    assert_eq!(data.reference_id, "54455354", "{name}: {data:?}");
    assert_eq!(data.leap, "Normal", "{name}: {data:?}");
    assert_eq!(data.authenticated, case.options.contains("key"), "{name}: {data:?}");
    Ok(())
}
