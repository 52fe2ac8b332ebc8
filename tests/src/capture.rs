use core::time::Duration;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::net::succeed;
use crate::{Error, FrameSocket, INTERFACE, Namespace, Process, Result, until, until_some};

const DEADLINE: Duration = Duration::from_secs(20);

/// What tshark calls a fault. With the offloads of the link off, every checksum on it is a real one.
const FAULTS: &str = "_ws.malformed || _ws.expert.severity == error \
    || ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0 \
    || icmp.checksum.status == 0 || icmpv6.checksum.status == 0";

/// Sent when a recording is to end: what came before it is then in the file. A frame of a local experimental EtherType
/// (IEEE 802), to nobody's address, as long as the shortest frame.
const MARKER: [u8; 60] = {
    let mut frame = [0x5a; 60];
    frame[0] = 2;
    frame[6] = 2;
    frame[12] = 0x88;
    frame[13] = 0xb5;
    frame
};

/// A running tcpdump at the client's end of the link.
pub struct Capture {
    process: Process,
    file: PathBuf,
    marker: FrameSocket,
}

impl Capture {
    /// Starts to record, and waits until recording has begun.
    ///
    /// # Errors
    /// tcpdump is missing or does not start.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let file = namespace.directory().join("capture.pcap");
        let mut command = namespace.command("tcpdump");
        command.args(["-i", INTERFACE, "--immediate-mode", "-U", "-Z", "root", "-B", "16384", "-w"]).arg(&file);
        let process = namespace.spawn("tcpdump", command)?;
        until_some("tcpdump's start", DEADLINE, || {
            let stderr = process.stderr();
            if stderr.contains("listening on") { Ok(()) } else { Err(stderr) }
        })?;
        Ok(Self { process, file, marker: FrameSocket::open(namespace)? })
    }

    /// Stops to record; what passed before is in the recording.
    ///
    /// # Errors
    /// tcpdump does not end, or has lost packets.
    pub fn stop(mut self) -> Result<Recording> {
        self.marker.send(&MARKER)?;
        until("the marker in the capture", DEADLINE, || {
            fs::read(&self.file).is_ok_and(|all| all.windows(MARKER.len()).any(|window| window == MARKER))
        })?;
        self.process.signal(Signal::SIGINT)?;
        self.process.wait(DEADLINE)?;
        let summary = self.process.stderr();
        if !summary.contains("\n0 packets dropped by kernel") {
            return Err(Error::Failed("tcpdump".into(), summary));
        }
        Ok(Recording { file: self.file })
    }
}

/// What was recorded.
pub struct Recording {
    file: PathBuf,
}

impl Recording {
    /// The packets that a display filter of tshark keeps, one line of `fields` each, tab-separated.
    ///
    /// # Errors
    /// tshark is missing, or refuses the filter.
    pub fn select(&self, filter: &str, fields: &[&str]) -> Result<Vec<String>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file).args(["-n", "-Y", filter, "-T", "fields"]);
        for protocol in ["ip", "udp", "tcp"] {
            command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
        }
        for field in fields {
            command.args(["-e", field]);
        }
        Ok(succeed("tshark", command)?.lines().map(str::to_owned).collect())
    }

    /// How many packets a display filter keeps.
    ///
    /// # Errors
    /// As [`Recording::select`].
    pub fn count(&self, filter: &str) -> Result<usize> {
        self.select(filter, &["frame.number"]).map(|lines| lines.len())
    }

    /// Fails if a packet that `filter` keeps is malformed or has a bad checksum.
    ///
    /// # Errors
    /// Such a packet, with what tshark says about it; or there is no packet at all.
    pub fn faultless(&self, filter: &str) -> Result<()> {
        if self.count(filter)? == 0 {
            return Err(Error::Unexpected(format!("no packet for {filter} in {:?}", fs::metadata(&self.file))));
        }
        let faults = self.select(
            &format!("({filter}) && ({FAULTS})"),
            &["frame.number", "_ws.col.Protocol", "_ws.col.Info", "_ws.expert.message"],
        )?;
        if faults.is_empty() { Ok(()) } else { Err(Error::Failed("tshark's check".into(), faults.join("\n"))) }
    }
}
