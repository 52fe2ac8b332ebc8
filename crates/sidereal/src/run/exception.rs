//! The exception path: one thread between the workers' rings and the TAP interfaces of all DPDK ports.

use sidereal_dataplane::{FRAME_MAX, FrameReceiver, FrameSender, WorkerLink};
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{Tap, TapOptions};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tracing::warn;

use crate::command::Failure;
use crate::config::{DpdkPort, Port};

/// The TAP interface of one port, and the rings to its workers.
pub(super) struct ExceptionPath {
    name: String,
    tap: Tap,
    /// Frames of each worker for the kernel.
    for_kernel: Vec<FrameReceiver>,
    /// Frames of the kernel, for the first worker to send.
    of_kernel: Option<FrameSender>,
    counts: Arc<ExceptionCounts>,
    /// Whether the interface failed when it was last used: said once.
    failed: bool,
}

/// Frames that the exception path had to give up. One thread counts, any may read.
#[derive(Debug, Default)]
pub(super) struct ExceptionCounts {
    kernel_full: AtomicU64,
    port_full: AtomicU64,
}

impl ExceptionCounts {
    /// The counts with their names in `status`.
    pub(super) fn read(&self) -> [(&'static str, u64); 2] {
        [("tap_kernel_full", self.kernel_full.load(Relaxed)), ("tap_port_full", self.port_full.load(Relaxed))]
    }
}

/// How long a frame from a worker may wait: workers make no system call, so nobody wakes this thread.
const PERIOD: Duration = Duration::from_millis(1);

/// Frames moved from one ring or interface before the next gets its turn.
const FRAMES_PER_TURN: usize = 64;

impl ExceptionPath {
    /// Makes the interface of `port`, and a link to it for each worker.
    pub(super) fn open(port: &Port, dpdk: &DpdkPort, mac: [u8; 6]) -> Result<(Self, Vec<WorkerLink>), Failure> {
        let options = TapOptions {
            name: dpdk.tap.as_str().into(),
            mac,
            mtu: dpdk.mtu,
            addresses: dpdk.addresses.iter().map(|net| (net.addr(), net.prefix_len())).collect(),
        };
        let tap = Tap::open(&options)
            .map_err(|error| Failure::Failed(format!("port \"{}\": its TAP interface: {error}", port.name)))?;
        let mut path = Self {
            name: port.name.to_string(),
            tap,
            for_kernel: Vec::new(),
            of_kernel: None,
            counts: Arc::default(),
            failed: false,
        };
        let links = (0..port.queues).map(|_| path.add_worker()).collect();
        Ok((path, links))
    }

    /// What it counts.
    pub(super) fn counts(&self) -> Arc<ExceptionCounts> {
        Arc::clone(&self.counts)
    }

    fn add_worker(&mut self) -> WorkerLink {
        let (link, for_kernel, of_kernel) = WorkerLink::new();
        self.for_kernel.push(for_kernel);
        self.of_kernel.get_or_insert(of_kernel);
        link
    }

    /// Moves frames both ways; returns how many.
    fn turn(&mut self, buffer: &mut [u8]) -> usize {
        let moved = self.deliver(buffer).and_then(|to| Ok(to + self.fetch(buffer)?));
        match moved {
            Ok(moved) => {
                self.failed = false;
                moved
            }
            Err(error) => {
                if !self.failed {
                    warn!(port = self.name, %error, "the TAP interface does not work: is it down or gone?");
                }
                self.failed = true;
                0
            }
        }
    }

    fn deliver(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut moved = 0;
        for ring in &mut self.for_kernel {
            for _ in 0..FRAMES_PER_TURN {
                let Some(len) = ring.pop(buffer) else { break };
                moved += 1;
                if !self.tap.write_frame(buffer.get(..len).unwrap_or_default())? {
                    self.counts.kernel_full.fetch_add(1, Relaxed);
                }
            }
        }
        Ok(moved)
    }

    fn fetch(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(ring) = &mut self.of_kernel else { return Ok(0) };
        let mut moved = 0;
        while moved < FRAMES_PER_TURN {
            let Some(len) = self.tap.read_frame(buffer)? else { break };
            moved += 1;
            if !ring.push(buffer.get(..len).unwrap_or_default()) {
                self.counts.port_full.fetch_add(1, Relaxed);
            }
        }
        Ok(moved)
    }
}

/// Moves frames until `stop` is set.
pub(super) fn serve(mut paths: Vec<ExceptionPath>, stop: &AtomicBool) {
    let mut buffer = vec![0; FRAME_MAX];
    while !stop.load(Relaxed) {
        let moved: usize = paths.iter_mut().map(|path| path.turn(&mut buffer)).sum();
        if moved == 0 {
            let mut descriptors: Vec<PollFd<'_>> =
                paths.iter().filter(|path| !path.failed).map(|path| PollFd::readable(path.tap.as_fd())).collect();
            if poll(&mut descriptors, Some(PERIOD)).is_err() {
                std::thread::sleep(PERIOD);
            }
        }
    }
}
