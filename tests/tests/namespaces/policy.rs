//! Who is answered, and how: access rules, rate limits, reloading them, the end.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Instant;

use sidereal_tests::{CLIENT_IPV4, Error, Net, Options, Result, Sidereal, Transport, until};

use crate::request::{TRANSMIT, exchange, receive, request, socket};

/// Clients besides the first; each has a rule of its own.
const DENIED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
const RESTRICTED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 4);
const DROPPED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 5);
const WITHOUT_KEY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 6);

const ACCESS: &str = r#"
[[access]]
prefix = "10.77.0.0/24"
action = "allow"
[[access]]
prefix = "10.77.0.3/32"
action = "deny"
[[access]]
prefix = "10.77.0.4/32"
action = "restrict"
[[access]]
prefix = "10.77.0.5/32"
action = "drop"
[[access]]
prefix = "10.77.0.6/32"
action = "allow"
require_key = true
"#;

/// Keys for the rule that requires one; no client of these tests has them.
const KEYS: &str = "1 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";

const RATE_LIMIT: &str = "[ntp.server.rate_limit]\nrequests_per_second = 1\nburst = 4\nkiss_of_death = true\n";

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn access_over_dpdk() -> Result<()> {
    access(Transport::Dpdk)
}

#[test]
fn access_over_kernel_sockets() -> Result<()> {
    access(Transport::Kernel)
}

#[test]
fn access_in_single_mode() -> Result<()> {
    access(Transport::Single)
}

fn with_rules(transport: Transport) -> Options {
    Options { tables: ACCESS.into(), keys: Some(KEYS.into()), ..Options::new(transport) }
}

fn access(transport: Transport) -> Result<()> {
    Net::run("access", transport.link(), |net| {
        let server = Sidereal::start(net, &with_rules(transport))?;
        for address in [DENIED, RESTRICTED, DROPPED, WITHOUT_KEY] {
            net.client().add_address(&format!("{address}/24"))?;
        }
        let ask = |address: Ipv4Addr| exchange(&socket(net.client(), IpAddr::V4(address))?, &request());

        let reply = ask(CLIENT_IPV4)?.ok_or(Error::Unexpected("no reply".into()))?;
        assert_eq!((reply.leap, reply.version, reply.mode, reply.stratum), (0, 4, 4, 1), "{reply:?}");
        assert_eq!(reply.origin, TRANSMIT);
        for (address, code) in [(DENIED, *b"DENY"), (RESTRICTED, *b"RSTR")] {
            let kiss = ask(address)?.ok_or(Error::Unexpected(format!("no kiss for {address}")))?;
            assert_eq!((kiss.mode, kiss.stratum, kiss.reference_id), (4, 0, code), "{kiss:?}");
            assert_eq!(kiss.origin, TRANSMIT);
        }
        assert!(ask(DROPPED)?.is_none());
        assert!(ask(WITHOUT_KEY)?.is_none());

        let status = server.status()?;
        for (kind, count) in [("basic", 1), ("kiss_deny", 1), ("kiss_restrict", 1)] {
            assert_eq!(status.replies(kind), count, "{kind}: {status}");
        }
        for (reason, count) in [("ntp_access", 1), ("ntp_key_required", 1)] {
            assert_eq!(status.drops(reason), count, "{reason}: {status}");
        }
        server.stop()
    })
}

#[test]
fn a_fast_client_is_told_to_slow_down() -> Result<()> {
    const REQUESTS: u64 = 40;
    Net::run("rate", Transport::Dpdk.link(), |net| {
        let server = Sidereal::start(net, &Options { tables: RATE_LIMIT.into(), ..Options::new(Transport::Dpdk) })?;
        let fast = socket(net.client(), CLIENT_IPV4.into())?;
        for _ in 0..REQUESTS {
            fast.send(&request()).map_err(Error::io("send"))?;
        }
        // All of them are counted before the replies are read: nothing is on its way any more.
        until("all requests judged", DEADLINE, || {
            server.status().is_ok_and(|status| status.all_replies() + status.all_drops() == REQUESTS)
        })?;
        let status = server.status()?;
        let mut kisses = 0;
        let mut answers = 0;
        for _ in 0..status.all_replies() {
            let reply = receive(&fast)?.ok_or(Error::Unexpected("fewer replies than were counted".into()))?;
            match (reply.stratum, &reply.reference_id) {
                (0, b"RATE") => kisses += 1,
                (1, _) => answers += 1,
                _ => return Err(Error::Unexpected(format!("{reply:?}"))),
            }
        }
        assert!(answers >= 4 && kisses >= 1 && answers + kisses < REQUESTS, "{answers} answers, {kisses} kisses");
        assert_eq!(status.replies("basic"), answers, "{status}");
        assert_eq!(status.replies("kiss_rate"), kisses, "{status}");
        assert_eq!(status.drops("ntp_rate_limited"), REQUESTS - answers - kisses, "{status}");
        // Somebody else is not affected.
        net.client().add_address(&format!("{DENIED}/24"))?;
        let other = exchange(&socket(net.client(), DENIED.into())?, &request())?;
        assert_eq!(other.map(|reply| reply.stratum), Some(1));
        server.stop()
    })
}

#[test]
fn reloading_loses_no_reply_over_dpdk() -> Result<()> {
    reloading_loses_no_reply(Transport::Dpdk)
}

#[test]
fn reloading_loses_no_reply_over_kernel_sockets() -> Result<()> {
    reloading_loses_no_reply(Transport::Kernel)
}

#[test]
fn reloading_loses_no_reply_in_single_mode() -> Result<()> {
    reloading_loses_no_reply(Transport::Single)
}

/// A steady client is answered every time while the rules for others change under it; each change is waited for.
fn reloading_loses_no_reply(transport: Transport) -> Result<()> {
    const RELOADS: usize = 20;
    const INTERVAL: Duration = Duration::from_millis(5);
    Net::run("reload", transport.link(), |net| {
        let open = Options::new(transport);
        let closed = with_rules(transport);
        let server = Sidereal::start(net, &open)?;
        net.client().add_address(&format!("{DENIED}/24"))?;
        let steady = socket(net.client(), CLIENT_IPV4.into())?;
        let changed = socket(net.client(), DENIED.into())?;
        let steady = &steady;

        let (asked, answered) = thread::scope(|scope| {
            // Dropped on every way out of this scope, which waits for its threads.
            let (stop, stopped) = mpsc::channel::<()>();
            let client = scope.spawn(move || {
                let (mut asked, mut answered) = (0, 0);
                while stopped.try_recv() == Err(TryRecvError::Empty) {
                    let next = Instant::now() + INTERVAL;
                    asked += 1;
                    answered += usize::from(exchange(steady, &request())?.is_some_and(|reply| reply.stratum == 1));
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
                Ok::<_, Error>((asked, answered))
            });
            for n in 0..RELOADS {
                let (options, identifier) = if n % 2 == 0 { (&closed, *b"DENY") } else { (&open, *b"LOCL") };
                server.reload(options)?;
                until(&format!("reload {n} taking effect"), DEADLINE, || {
                    exchange(&changed, &request())
                        .is_ok_and(|reply| reply.is_some_and(|reply| reply.reference_id == identifier))
                })?;
            }
            drop(stop);
            client.join().map_err(|_| Error::Unexpected("the steady client panicked".into()))?
        })?;
        assert!(asked > RELOADS, "{asked} requests while there were {RELOADS} reloads");
        assert_eq!(answered, asked, "a request was not answered");
        server.stop()
    })
}

#[test]
fn a_broken_configuration_is_not_taken_over() -> Result<()> {
    Net::run("broken", Transport::Kernel.link(), |net| {
        let options = with_rules(Transport::Kernel);
        let server = Sidereal::start(net, &options)?;
        net.client().add_address(&format!("{DENIED}/24"))?;
        let denied = socket(net.client(), DENIED.into())?;
        server.reload(&Options { tables: "[[access]]\nprefix = \"10.77.0.3/33\"\n".into(), ..options })?;
        until("the complaint in the log", DEADLINE, || server.log().contains("10.77.0.3/33"))?;
        let reply = exchange(&denied, &request())?;
        assert_eq!(reply.map(|reply| reply.reference_id), Some(*b"DENY"));
        server.stop()
    })
}
