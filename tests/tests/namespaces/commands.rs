//! The commands that ask: their exit status and their documents.

use core::net::IpAddr;
use std::process::Output;

use sidereal_tests::{
    Chronyd, Error, Link, Namespace, Net, Options, Result, SERVER_IPV4, SERVER_IPV6, Sidereal, Transport, program,
};

fn sidereal(namespace: &Namespace, arguments: &[&str]) -> Result<Output> {
    namespace.command(program("sidereal")?).args(arguments).output().map_err(Error::io("sidereal"))
}

#[test]
fn query_tells_whether_it_was_answered() -> Result<()> {
    Net::run("query", Link::Dpdk, |net| {
        let server = Sidereal::start(net, &Options::new(Transport::Dpdk))?;
        for address in [IpAddr::V4(SERVER_IPV4), IpAddr::V6(SERVER_IPV6)] {
            let answered = sidereal(
                net.client(),
                &["query", &address.to_string(), "--count", "3", "--interval", "100ms", "--json"],
            )?;
            assert!(answered.status.success(), "{answered:?}");
            let document: serde_json::Value = serde_json::from_slice(&answered.stdout)
                .map_err(|error| Error::Unexpected(format!("query: {error} in {answered:?}")))?;
            let schema = document["schema"].as_str().unwrap_or_default();
            assert!(schema.starts_with("sidereal.query/"), "{document:#}");
        }
        assert_eq!(server.status()?.replies("basic"), 6);
        server.stop()?;

        let gone = sidereal(net.client(), &["query", &SERVER_IPV4.to_string(), "--count", "1"])?;
        assert!(!gone.status.success(), "{gone:?}");
        Ok(())
    })
}

#[test]
fn probe_measures_chronyd_and_misses_it() -> Result<()> {
    Net::run("probe", Link::Kernel, |net| {
        let targets = [SERVER_IPV4.to_string(), SERVER_IPV6.to_string()];
        let probe = || -> Result<(Option<i32>, serde_json::Value)> {
            let pace = ["--count", "4", "--interval", "200ms", "--timeout", "200ms", "--alert", "10ms", "--json"];
            let arguments = [&["probe", targets[0].as_str(), targets[1].as_str()], &pace[..]].concat();
            let output = sidereal(net.client(), &arguments)?;
            let report = serde_json::from_slice(&output.stdout)
                .map_err(|error| Error::Unexpected(format!("probe: {error} in {output:?}")))?;
            Ok((output.status.code(), report))
        };
        let server = Chronyd::start(net.server(), "server", &["allow", "local stratum 3"])?;
        let (status, report) = probe()?;
        assert_eq!((status, &report["totals"]["measured"]), (Some(0), &2.into()), "{report:#}");
        for host in report["hosts"].as_array().into_iter().flatten() {
            assert_eq!((&host["stratum"], &host["outcomes"]["answered"]), (&3.into(), &4.into()), "{host:#}");
            // Both hosts have the same clock.
            let [offset, bound] = ["offset_ns", "bound_ns"].map(|key| host["clock"][key].as_i64().unwrap_or(i64::MAX));
            assert!(offset.abs() <= bound, "{host:#}");
            assert_eq!(host["clock"]["receive_stamp"], "kernel", "{host:#}");
        }
        drop(server);
        let (status, report) = probe()?;
        assert_eq!(status, Some(1), "{report:#}");
        let alerts: Vec<_> = report["alerts"].as_array().into_iter().flatten().map(|alert| &alert["reason"]).collect();
        assert_eq!(alerts, ["unreachable", "unreachable"], "{report:#}");
        Ok(())
    })
}

#[test]
fn status_describes_the_appliance() -> Result<()> {
    Net::run("status", Link::Dpdk, |net| {
        let server = Sidereal::start(net, &Options::new(Transport::Dpdk))?;
        let status = server.status()?;
        for (pointer, expected) in [
            ("/mode", "appliance"),
            ("/clock/reference", "system"),
            ("/clock/reference_id", "LOCL"),
            ("/ports/0/name", "lan0"),
            ("/ports/0/backend", "dpdk"),
            ("/ports/0/link", "up"),
            ("/workers/0/port", "lan0"),
        ] {
            assert_eq!(status.get(pointer).and_then(|value| value.as_str()), Some(expected), "{pointer}: {status}");
        }
        assert_eq!(status.get("/clock/stratum").and_then(|value| value.as_u64()), Some(1));
        server.stop()
    })
}

#[test]
fn status_without_a_server_fails() -> Result<()> {
    Net::run("no-server", Link::Kernel, |net| {
        let output = sidereal(net.server(), &["status", "--json", "--socket", "/nonexistent/control"])?;
        assert!(!output.status.success(), "{output:?}");
        Ok(())
    })
}
