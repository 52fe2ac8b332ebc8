//! The sources that are PTP Instances.

use sidereal_ptp::{PortKey, Responders};
use sidereal_time::{LocalClock, Ticks};

use super::Sources;
use crate::ptp::{Ptp, Truth, state_of};
use crate::report::Reports;
use crate::source::{Source, SourceId, Speaker};
use crate::status::PtpStatus;
use crate::surroundings::Surroundings;

impl Sources {
    /// The instance with this port.
    pub(crate) fn of_port_mut(&mut self, key: PortKey) -> Option<&mut Source> {
        self.all.iter_mut().find(|source| matches!(&source.speaker, Speaker::Ptp(ptp) if ptp.options().port.key == key))
    }

    /// Whether there is any instance.
    pub(crate) fn speak_ptp(&self) -> bool {
        self.instances().next().is_some()
    }

    /// Lets each know what it may say of our time, and whether that is its own.
    pub(crate) fn tell_truth(&mut self, truth: &Truth, is_selected: impl Fn(SourceId) -> bool) {
        for source in &mut self.all {
            if let Speaker::Ptp(ptp) = &mut source.speaker {
                // Management may have changed what it was configured with.
                let state = state_of(truth, ptp.instance().options());
                ptp.tell(state, is_selected(source.id));
            }
        }
    }

    /// Answers to a management message of somebody on this host: of each instance that it is meant for.
    pub(crate) fn manage(&mut self, message: &[u8], here: &mut Surroundings, now: Ticks) -> Vec<Vec<u8>> {
        self.all
            .iter_mut()
            .filter_map(|source| match &mut source.speaker {
                Speaker::Ptp(ptp) => ptp.manage(message, now, here),
                Speaker::Remote(_) | Speaker::Wire(_) => None,
            })
            .collect()
    }

    /// Says how their ports are, where that is news. Whether one has begun to follow, or has ceased to.
    pub(crate) fn say_ports(&mut self, local: &LocalClock, now: Ticks, reports: &mut Reports) -> bool {
        let mut changed = false;
        for source in &mut self.all {
            if let Speaker::Ptp(ptp) = &mut source.speaker {
                ptp.say(&source.name, local, now, reports);
                changed |= ptp.has_turned();
                if ptp.has_changed_master() {
                    source.forget();
                }
            }
        }
        changed
    }

    /// Who answers Delay_Req.
    pub(crate) fn responders(&self) -> Responders {
        Responders::new(self.instances().filter_map(Ptp::responder))
    }

    /// How each is.
    pub(crate) fn ptp_status(&self) -> Vec<PtpStatus> {
        self.all.iter().filter_map(Source::ptp_status).collect()
    }

    fn instances(&self) -> impl Iterator<Item = &Ptp> {
        self.all.iter().filter_map(|source| match &source.speaker {
            Speaker::Ptp(ptp) => Some(&**ptp),
            Speaker::Remote(_) | Speaker::Wire(_) => None,
        })
    }
}
