//! Sidereal follows the field's servers, peers and broadcasts, names who lies, and says so in words. Its clocks are dry:
//! the host's own is left alone. All ends share that one clock, so that what is measured is the error.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use sidereal_tests::{
    Capture, Chronyd, Error, Liar, Link, Namespace, Net, Ntpd, NtpdRs, Options, Result, SERVER_IPV4, Sidereal, Source,
    Sources, Transport, until_some, write_private,
};

const DEADLINE: Duration = Duration::from_secs(60);
/// A busy machine explains microseconds, not milliseconds.
const OFFSET_LIMIT_NS: i64 = 1_000_000;
const LIE: Duration = Duration::from_millis(50);
/// How long nobody may be led astray, once all is settled.
const WATCHED: Duration = Duration::from_secs(8);

const KEYS: &str = "4 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";

/// After so many measurements the worst of the beginning is behind us: what the first ones said is corrected.
const SETTLED: u64 = 16;

/// The states of sources that agree with the majority.
const GOOD: [&str; 3] = ["selected", "combined", "outlier"];

/// An address on the peers' end of the link.
const fn peer(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

/// Gives the peers' end of the link the addresses with these numbers.
fn add_peers(net: &Net, numbers: &[u8]) -> Result<()> {
    numbers.iter().try_for_each(|number| net.client().add_address(&format!("{}/24", peer(*number))))
}

/// The keys, in a file for the peers.
fn keys(net: &Net) -> Result<PathBuf> {
    let path = net.client().directory().join("keys");
    write_private(&path, KEYS)?;
    Ok(path)
}

/// A source that is asked often; `more` are further keys.
fn source(name: &str, address: &str, more: &str) -> String {
    format!("[[ntp.source]]\nname = \"{name}\"\naddress = \"{address}\"\nmin_poll = -2\nmax_poll = 0\n{more}\n")
}

fn follower(transport: Transport, tables: String) -> Options {
    Options { keys: Some(KEYS.into()), tables, ..Options::new(transport) }
}

/// What a source measures is our error and its own: it must lie within both bounds, and within what a machine may do.
fn assert_right(sidereal: &Sidereal<'_>, source: Source<'_>) -> Result<()> {
    let status = sidereal.status()?;
    let ours = status.get("/clock/bound_ns").and_then(serde_json::Value::as_i64).unwrap_or(i64::MAX);
    let number = |key: &str| source.number(key).unwrap_or(i64::MAX);
    let (offset, bound) = (number("offset_ns").saturating_abs(), number("bound_ns"));
    assert!(offset <= bound.saturating_add(ours) && offset <= OFFSET_LIMIT_NS, "{source}, and our bound is {ours}");
    assert!(bound <= 1_000_000_000 && ours <= 1_000_000_000, "{source}, and our bound is {ours}");
    assert!((0..=1_000_000_000).contains(&number("delay_ns")), "{source}");
    assert!(!source.text("reason").is_empty(), "{source}");
    Ok(())
}

/// Our own time, as a client is told it, lies within its bound of the host's.
pub(crate) fn assert_serves_right(client: &Namespace) -> Result<()> {
    let sidereal = sidereal_tests::program("sidereal")?;
    let words = [&sidereal.display().to_string(), "query", &SERVER_IPV4.to_string(), "--json", "--count", "4"];
    let text = client.output(&words)?;
    let document: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Error::Unexpected(format!("query: {error} in {text}")))?;
    let number = |key: &str| document["best"][key].as_i64().unwrap_or(i64::MAX);
    let (offset, bound) = (number("offset_ns").saturating_abs(), number("bound_ns"));
    assert!(offset <= bound && offset <= OFFSET_LIMIT_NS, "{document:#}");
    Ok(())
}

#[test]
fn the_fields_servers_are_followed_and_the_liar_is_not_on_kernel_sockets() -> Result<()> {
    servers_are_followed(Transport::Kernel)
}

#[test]
fn the_fields_servers_are_followed_and_the_liar_is_not_in_single_mode() -> Result<()> {
    servers_are_followed(Transport::Single)
}

fn servers_are_followed(transport: Transport) -> Result<()> {
    Net::run(&format!("src-{}", transport.name()), transport.link(), |net| {
        add_peers(net, &[3, 4, 5, 6, 7])?;
        let keys = keys(net)?;
        let _chrony = Chronyd::server(net.client(), "chrony", peer(3).into(), 3, None, &[])?;
        let _keyed = Chronyd::server(net.client(), "keyed", peer(4).into(), 3, Some(&keys), &[])?;
        let _ntpsec = Ntpd::server(net.client(), "ntpsec", peer(5).into())?;
        let _ntpd_rs = NtpdRs::server(net.client(), "ntpd-rs", peer(6).into())?;
        let _liar = Liar::start(net.client(), peer(7), peer(3), LIE)?;
        let good = ["chrony", "keyed", "ntpsec", "ntpd-rs"];
        let tables = [
            source("chrony", "10.77.0.3", ""),
            source("keyed", "10.77.0.4", "key = 4\ninterleaved = true"),
            source("ntpsec", "10.77.0.5", ""),
            source("ntpd-rs", "10.77.0.6", ""),
            source("liar", "10.77.0.7", ""),
            "[selection]\nauthentication = \"ignore\"\n".into(),
        ];
        let capture = Capture::start(net.client())?;
        let mut sidereal = Sidereal::launch(net.server(), "sidereal", &follower(transport, tables.concat()))?;
        let settled = |sources: &Sources| {
            let heard = |name: &str| {
                sources
                    .named(name)
                    .is_ok_and(|source| source.number("reach") == Some(0o377) && source.count("measured") >= SETTLED)
            };
            sources.are(&good, &GOOD) && sources.are(&["liar"], &["falseticker"]) && good.iter().all(|name| heard(name))
        };
        let sources = sidereal.sources_until("four sources followed and the liar named", DEADLINE, settled)?;
        for name in good {
            assert_right(&sidereal, sources.named(name)?)?;
        }
        for (name, stratum) in [("chrony", 3), ("keyed", 3), ("ntpsec", i64::from(Ntpd::STRATUM)), ("ntpd-rs", 1)] {
            assert_eq!(sources.named(name)?.number("stratum"), Some(stratum), "{sources}");
        }
        let keyed = sources.named("keyed")?;
        assert!(keyed.is("authenticated") && keyed.is("interleaved"), "{keyed}");
        let chrony = sources.named("chrony")?;
        assert!(!chrony.is("authenticated") && !chrony.is("interleaved"), "{chrony}");
        let liar = sources.named("liar")?;
        let ahead = liar.number("offset_ns").unwrap_or_default();
        assert!((45_000_000..55_000_000).contains(&ahead), "{liar}");

        let begin = Instant::now();
        while begin.elapsed() < WATCHED {
            let sources = sidereal.sources()?;
            assert!(sources.are(&["liar"], &["falseticker"]), "{sources}");
            assert!(sources.system_peer().is_some_and(|peer| good.contains(&peer)), "{sources}");
            assert_serves_right(net.client())?;
            thread::sleep(Duration::from_millis(500));
        }

        let words = sidereal.ask(&["sources"])?;
        assert!(words.lines().any(|line| line.starts_with("x  liar ")), "{words}");
        assert!(words.contains("falseticker: ") && words.contains("\n*  "), "{words}");
        let status = sidereal.synchronised(DEADLINE)?;
        for (pointer, expected) in [
            ("/clock/reference", "sources"),
            ("/clock/state", "locked"),
            ("/clocks/0/name", "system"),
            ("/clocks/0/steer", "dry"),
        ] {
            assert_eq!(status.get(pointer).and_then(|value| value.as_str()), Some(expected), "{pointer}: {status}");
        }
        let nanos = |pointer| status.get(pointer).and_then(serde_json::Value::as_i64).unwrap_or(i64::MAX);
        assert!(nanos("/clock/bound_ns") < 1_000_000_000 && nanos("/clock/uncertainty_ns") < 1_000_000_000, "{status}");
        assert!(nanos("/clocks/0/offset_ns").saturating_abs() <= OFFSET_LIMIT_NS, "{status}");
        sidereal.stop()?;
        capture.stop()?.faultless("ntp")
    })
}

#[test]
fn chrony_is_a_peer_with_a_key_on_kernel_sockets() -> Result<()> {
    peers_see_each_other(Transport::Kernel, "symmetric", "")
}

#[test]
fn chrony_is_an_interleaved_peer_in_single_mode() -> Result<()> {
    peers_see_each_other(Transport::Single, "symmetric", "xleave")
}

#[test]
fn chrony_is_answered_by_a_passive_peer() -> Result<()> {
    peers_see_each_other(Transport::Kernel, "symmetric_passive", "")
}

/// Both sides measure, authenticate and believe each other, as far as each can.
fn peers_see_each_other(transport: Transport, mode: &str, chrony_options: &str) -> Result<()> {
    Net::run("peer", transport.link(), |net| {
        add_peers(net, &[3])?;
        let keys = keys(net)?;
        let interleaved = chrony_options == "xleave";
        let line = format!("peer {SERVER_IPV4} key 4 minpoll -2 maxpoll 0 {chrony_options}");
        let chrony = Chronyd::server(net.client(), "chrony", peer(3).into(), 3, Some(&keys), &[&line])?;
        let more = format!("key = 4\nmode = \"{mode}\"\ninterleaved = {interleaved}");
        let options = follower(transport, source("chrony", "10.77.0.3", &more));
        let mut sidereal = Sidereal::launch(net.server(), "sidereal", &options)?;
        let sources = sidereal.sources_until("the peer followed", DEADLINE, |sources| {
            let is_so = |peer: Source<'_>| peer.is("interleaved") == interleaved && peer.count("measured") >= SETTLED;
            sources.are(&["chrony"], &["selected"]) && sources.named("chrony").is_ok_and(is_so)
        })?;
        let ours = sources.named("chrony")?;
        assert_right(&sidereal, ours)?;
        assert!(ours.is("authenticated") && ours.text("mode").starts_with("symmetric"), "{ours}");
        let theirs = until_some("chrony's view", DEADLINE, || match chrony.ntp_data() {
            // We follow it, and tell it so: what it measures is valid, and of no use to it.
            Ok(data) if data.valid >= 8 && data.stratum == 4 && data.interleaved == interleaved => Ok(data),
            other => Err(format!("{other:?}")),
        })?;
        assert!(theirs.authenticated && theirs.leap == "Normal", "{theirs:?}");
        assert!(theirs.offset_s.abs() < 1e-3, "{theirs:?}");
        assert_eq!(chrony.source()?.reach & 1, 1);
        sidereal.stop()
    })
}

#[test]
fn chronys_broadcasts_are_followed_on_kernel_sockets() -> Result<()> {
    broadcasts_are_followed(Transport::Kernel)
}

#[test]
fn chronys_broadcasts_are_followed_in_single_mode() -> Result<()> {
    broadcasts_are_followed(Transport::Single)
}

fn broadcasts_are_followed(transport: Transport) -> Result<()> {
    Net::run("bcast", transport.link(), |net| {
        add_peers(net, &[3])?;
        let line = format!("broadcast 1 {}", peer(255));
        let _chrony = Chronyd::server(net.client(), "chrony", peer(3).into(), 3, None, &[&line])?;
        let options = follower(transport, source("chrony", "10.77.0.3", "mode = \"broadcast\""));
        let mut sidereal = Sidereal::launch(net.server(), "sidereal", &options)?;
        let sources = sidereal.sources_until("a broadcast followed", DEADLINE, heard_for_long)?;
        assert_right(&sidereal, sources.named("chrony")?)?;
        assert_serves_right(net.client())?;
        sidereal.stop()
    })
}

/// So many broadcasts were taken that the first volley of requests is long over.
fn heard_for_long(sources: &Sources) -> bool {
    let heard = |source: &Source<'_>| {
        let broadcasts = source.count("measured").saturating_sub(source.count("sent"));
        source.text("mode") == "broadcast_client" && broadcasts >= SETTLED && source.text("state") == "selected"
    };
    sources.all().iter().all(heard) && !sources.all().is_empty()
}

#[test]
fn a_sidereal_follows_the_interleaved_broadcasts_of_another() -> Result<()> {
    Net::run("xcast", Link::Kernel, |net| {
        let broadcast =
            format!("[[ntp.broadcast]]\naddress = \"{}\"\npoll = 0\nkey = 4\ninterleaved = true\n", peer(255));
        let mut other = Sidereal::launch(net.client(), "other", &follower(Transport::Single, broadcast))?;
        other.synchronised(DEADLINE)?;
        let more = "mode = \"broadcast\"\nkey = 4\ninterleaved = true";
        let options = follower(Transport::Kernel, source("other", "10.77.0.2", more));
        let mut sidereal = Sidereal::launch(net.server(), "sidereal", &options)?;
        let sources = sidereal.sources_until("an interleaved broadcast followed", DEADLINE, |sources| {
            heard_for_long(sources) && sources.named("other").is_ok_and(|source| source.is("interleaved"))
        })?;
        let heard = sources.named("other")?;
        assert_right(&sidereal, heard)?;
        assert!(heard.is("authenticated") && heard.number("stratum") == Some(1), "{heard}");
        sidereal.stop()?;
        other.stop()
    })
}

/// A name with four addresses, of which two are wanted, and nobody answers at the first two.
#[test]
fn a_pool_is_filled_with_those_who_answer() -> Result<()> {
    Net::run("pool", Link::Kernel, |net| {
        add_peers(net, &[5, 6])?;
        let hosts: String = (3..=6).map(|number| format!("{} pool.test\n", peer(number))).collect();
        net.server().set_hosts(&hosts)?;
        let _first = Chronyd::server(net.client(), "first", peer(5).into(), 3, None, &[])?;
        let _second = Chronyd::server(net.client(), "second", peer(6).into(), 3, None, &[])?;
        let options = follower(Transport::Kernel, source("pool", "pool.test", "pool = 2"));
        let mut sidereal = Sidereal::launch(net.server(), "sidereal", &options)?;
        let sources = sidereal.sources_until("two servers of the pool followed", DEADLINE, |sources| {
            let followed = sources.all().into_iter().filter(|source| GOOD.contains(&source.text("state")));
            followed.count() == 2
        })?;
        let mut addresses: Vec<_> = sources.all().iter().map(|source| source.text("address").to_owned()).collect();
        addresses.retain(|address| !address.is_empty());
        addresses.sort();
        assert_eq!(addresses, ["10.77.0.5:123", "10.77.0.6:123"], "{sources}");
        sidereal.stop()
    })
}
