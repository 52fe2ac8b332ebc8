//! PTP Ports whose packets the workers have.

use sidereal_dataplane::{EnginePtp, PtpFrame};
use sidereal_engine::{PacketId, PtpOutgoing};
use sidereal_ptp::{MAX_MESSAGE_LEN, PortKey};
use sidereal_time::{Arrived, StampSource};
use std::time::Duration;

use crate::counter::Locator;
use crate::run::happened::Happened;

/// How often the workers' rings are looked at: nothing wakes the engine.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Messages that are taken before something else gets its turn.
const MESSAGES_PER_TURN: usize = 256;

/// The PTP Ports of one port of workers.
#[derive(Debug)]
pub(super) struct Workers {
    link: EnginePtp,
    is_new: bool,
}

impl Workers {
    pub(super) fn new(link: EnginePtp) -> Self {
        Self { link, is_new: true }
    }

    pub(super) fn has(&self, key: PortKey) -> bool {
        self.link.ports().any(|(own, _)| own == key)
    }

    pub(super) fn idle(&self) -> Duration {
        LOOK_EVERY
    }

    /// The Delay_Req that the workers have answered since this was last asked.
    pub(super) fn take_answered(&mut self) -> impl Iterator<Item = Happened> {
        let answered = self.link.take_answered();
        answered.map(|(port, count)| Happened::PtpAnswered { port, received: count, sent: count })
    }

    pub(super) fn send(&mut self, outgoing: &PtpOutgoing) -> Option<Happened> {
        let PtpOutgoing { packet, port, class, to, ref payload, stamp_wanted } = *outgoing;
        let sent = self.link.send(port, class, to, payload, stamp_wanted.then_some(packet.0));
        (!sent).then_some(Happened::SendFailed { packet, unreachable: false })
    }

    /// Takes what the workers have handed over.
    pub(super) fn turn(&mut self, clock: &mut Locator<'_>, happened: &mut Vec<Happened>) {
        if core::mem::take(&mut self.is_new) {
            happened.extend(self.link.ports().map(|(port, _)| Happened::PtpPort { port, usable: true }));
        }
        let mut buffer = [0; MAX_MESSAGE_LEN];
        for _ in 0..MESSAGES_PER_TURN {
            let Some(frame) = self.link.receive(&mut buffer) else { break };
            let PtpFrame { key: port, from, len, stamp, by_nic, found } = frame;
            let found = Arrived { ticks: found, source: StampSource::Software };
            let arrival = stamp.and_then(|stamp| clock.locate(stamp)).or((!by_nic).then_some(found));
            let message = buffer.get(..len).unwrap_or_default().to_vec();
            happened.push(Happened::PtpMessage { port, from, message, arrival });
        }
        while let Some((packet, stamp)) = self.link.poll_stamp() {
            let left = stamp.and_then(|stamp| clock.locate(stamp));
            happened.push(Happened::Transmitted { packet: PacketId(packet), left });
        }
    }
}
