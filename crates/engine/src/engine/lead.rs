//! PTP: messages in, what is true of our time for those who lead with it, and who may answer for them.

use std::collections::VecDeque;

use sidereal_ptp::{Address, PortKey, Responders};
use sidereal_time::{Arrived, Reading, Tai, Ticks};

use super::Engine;
use crate::config::Reference;
use crate::event::Action;
use crate::follow::REPUBLISH_AFTER;
use crate::ptp::{Anchor, Truth, leap_state, of_sources, of_system};
use crate::source::SourceId;
use crate::status::Synchronisation;

/// Answers to management messages that wait to be fetched; beyond, the oldest are dropped.
const MAX_ANSWERS: usize = 32;

/// What leading takes.
#[derive(Debug, Default)]
pub(super) struct Lead {
    /// What we had when we were last locked.
    anchor: Anchor,
    /// What was published last.
    responders: Responders,
    answers: VecDeque<(u64, Vec<u8>)>,
}

impl Engine {
    pub(super) fn ptp_received(
        &mut self,
        port: PortKey,
        from: Option<Address>,
        message: &[u8],
        arrival: Option<Arrived>,
        now: Ticks,
    ) {
        let Some(source) = self.sources.of_port_mut(port) else { return };
        let id = source.id;
        source.receive_ptp(message, from, arrival, now, &mut self.here, &mut self.reports);
        self.hear(id, now);
    }

    pub(super) fn ptp_management(&mut self, client: u64, message: &[u8], now: Ticks) {
        for payload in self.sources.manage(message, &mut self.here, now) {
            if self.lead.answers.len() == MAX_ANSWERS {
                self.lead.answers.pop_front();
            }
            self.lead.answers.push_back((client, payload));
        }
    }

    pub(super) fn ptp_port(&mut self, port: PortKey, usable: bool, now: Ticks) {
        if let Some(source) = self.sources.of_port_mut(port) {
            source.usable(usable, now, &mut self.here);
        }
    }

    pub(super) fn ptp_answered(&mut self, port: PortKey, received: u64, sent: u64) {
        if let Some(source) = self.sources.of_port_mut(port) {
            source.answered(received, sent);
        }
    }

    /// What else is to be done for PTP, once every message has been sent.
    pub(super) fn poll_ptp(&mut self, now: Ticks) -> Option<Action> {
        if self.sources.say_ports(&self.local, now, &mut self.reports) {
            // Who follows nobody any longer must not be followed either.
            let model = self.model();
            self.follower.select(&mut self.sources, model.as_ref(), now, &mut self.reports);
            self.tell_truth(now);
        }
        if let Some((client, payload)) = self.lead.answers.pop_front() {
            return Some(Action::AnswerManagement { client, payload });
        }
        let responders = self.sources.responders();
        (responders != self.lead.responders).then(|| {
            self.lead.responders.clone_from(&responders);
            Action::PublishResponders(responders)
        })
    }

    /// Lets every PTP Instance know what it may say of our time, and whether that is its own.
    pub(super) fn tell_truth(&mut self, now: Ticks) {
        if !self.sources.speak_ptp() {
            return;
        }
        let truth = self.truth(now);
        if self.synchronisation() == Synchronisation::Synchronised {
            self.lead.anchor = Anchor::locked(&truth.basis, truth.bound);
        }
        let locked =
            self.config.reference == Reference::Sources && self.synchronisation() == Synchronisation::Synchronised;
        let follower = &self.follower;
        self.sources.tell_truth(&truth, |id| locked && follower.is_followed(id));
    }

    /// Whether what a PTP master says is a well-known mistake rather than the time, as far as our own tells.
    pub(super) fn is_mistaken(&mut self, id: SourceId, reading: &Reading<Tai>, now: Ticks) -> bool {
        let Some(model) = self.model().filter(|_| self.is_synchronised()) else { return false };
        let bound = self.bound(now);
        let yardstick = self.follower.yardstick(Some(&model), now);
        let Some(source) = self.sources.get_mut(id) else { return false };
        source.is_mistaken(reading, &yardstick, bound, &self.leap_table, &mut self.reports)
    }

    fn truth(&self, now: Ticks) -> Truth {
        let Some(model) = self.model().filter(|_| self.is_synchronised()) else { return Truth::default() };
        // It must hold until it is told anew.
        let bound = Some(self.bound(self.local.later(now, REPUBLISH_AFTER)));
        let (basis, domains, bound) = match (self.synchronisation(), &self.config.reference) {
            (_, Reference::System(reference)) => {
                let root = reference.root_delay.half() + reference.root_dispersion;
                (of_system(reference), Vec::new(), bound.map(|bound| bound + root))
            }
            (Synchronisation::Holdover, Reference::Sources) => (self.lead.anchor.holdover(bound), Vec::new(), bound),
            (_, Reference::Sources) => {
                let followed = self.sources.iter().filter(|source| self.follower.is_followed(source.id));
                let (basis, domains) = of_sources(followed);
                (basis, domains, bound)
            }
        };
        let leap = leap_state(&self.leap_table, model.instant(now));
        Truth { basis, domains, bound, allan_deviation: self.follower.allan_deviation(now), leap }
    }
}
