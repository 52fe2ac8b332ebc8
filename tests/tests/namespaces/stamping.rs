//! Who stamps packets on an interface whose NIC cannot: a veth has software stamps alone.

use std::fs;

use sidereal_tests::{Error, INTERFACE, Link, Net, Options, Result, Sidereal, Transport, program};

/// Where `timestamps` stands in [`configuration`].
const LINE: usize = 6;

fn configuration(timestamps: &str) -> String {
    format!(
        "mode = \"single\"\n[[port]]\nname = \"lan0\"\nbackend = \"kernel\"\naddresses = [\"0.0.0.0\"]\n\
         timestamps = \"{timestamps}\"\ninterface = \"{INTERFACE}\"\n"
    )
}

#[test]
fn hardware_stamps_where_there_are_none_are_refused() -> Result<()> {
    Net::run("no-stamps", Link::Kernel, |net| {
        let file = net.server().directory().join("hardware.toml");
        fs::write(&file, configuration("hardware")).map_err(Error::io(file.display().to_string()))?;
        let mut command = net.server().command(program("sidereal")?);
        let output = command.args(["run", "--config"]).arg(&file).output().map_err(Error::io("sidereal run"))?;
        assert!(!output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        let place = format!("{}:{LINE}:", file.display());
        for words in [&place, "port \"lan0\"", "\"hardware\"", INTERFACE, "help: ", "\"auto\" or \"software\""] {
            assert!(said.contains(words), "{words} is missing: {said}");
        }
        let mut command = net.server().command(program("sidereal")?);
        let output = command.arg("check").arg(&file).output().map_err(Error::io("sidereal check"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&place), "check says it before: {said}");
        Ok(())
    })
}

#[test]
fn the_kernel_stamps_where_the_nic_cannot_and_that_is_said() -> Result<()> {
    for transport in [Transport::Kernel, Transport::Single] {
        Net::run(&format!("auto-{}", transport.name()), Link::Kernel, |net| {
            let sidereal = Sidereal::start(net, &Options { bound: true, ..Options::new(transport) })?;
            let status = sidereal.status()?;
            let capabilities = status.get("/ports/0/capabilities").map(ToString::to_string).unwrap_or_default();
            let why = format!("the kernel stamps packets, because the NIC of {INTERFACE} takes no hardware stamps");
            assert!(capabilities.contains(&why), "{capabilities}");
            assert!(sidereal.ask(&["status"])?.contains(&why), "people are told too");
            sidereal.stop()
        })?;
    }
    Ok(())
}
