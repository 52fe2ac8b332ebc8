//! The commands that ask: their exit status and their documents.

use core::net::IpAddr;
use std::process::Output;

use sidereal_tests::{
    Error, Link, Namespace, Net, Options, Result, SERVER_IPV4, SERVER_IPV6, Sidereal, Transport, program,
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
