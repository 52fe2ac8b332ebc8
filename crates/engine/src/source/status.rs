//! How a source is, for people and programs that ask.

use sidereal_ntp::Role;
use sidereal_ptp::DelayMechanism;

use super::{Source, Speaker, Yardstick};
use crate::config::ReferenceKind;
use crate::selection::SourceState;
use crate::status::{PtpStatus, SourceStatus};

impl Source {
    /// How it is, measured with `yardstick`.
    pub(crate) fn status(&self, yardstick: &Yardstick<'_>) -> SourceStatus {
        let latest = self.latest.as_ref();
        let (state, reason) = self.judgement();
        let (address, kind, mode, poll, mut counts, last_ignored) = match &self.speaker {
            Speaker::Remote(remote) => {
                let poll = remote.association().map_or(remote.options().min_poll, |association| association.poll());
                let mode = role_name(remote.options().role);
                (remote.address(), "ntp", Some(mode), poll.exponent(), remote.counts(), remote.last_ignored())
            }
            Speaker::Ptp(ptp) => {
                let mode = match ptp.options().port.delay_mechanism {
                    DelayMechanism::E2e => "e2e",
                    DelayMechanism::P2p => "p2p",
                };
                (ptp.master_address(), "ptp", Some(mode), ptp.log_interval(), ptp.counts(), None)
            }
            Speaker::Wire(wire) => {
                let kind = match wire.options().kind {
                    ReferenceKind::Sampled => "sampled",
                    ReferenceKind::Pulse => "pulse",
                };
                let counts = wire.counts().into_iter().filter(|(_, count)| *count > 0).collect();
                (None, kind, None, wire.options().poll.exponent(), counts, None)
            }
        };
        counts.extend(self.rejections.iter().copied());
        SourceStatus {
            id: self.id,
            name: self.name.clone(),
            address,
            kind,
            mode,
            state,
            reason,
            stratum: self.speaker.stratum(),
            reference_id: self.speaker.reference_id(),
            leap: self.leap(),
            poll,
            reach: self.reach(),
            offset: latest.filter(|_| yardstick.is_time).map(|latest| yardstick.offset(latest)),
            delay: latest.map(|latest| latest.measurement.reading.window()),
            jitter: latest.map(|_| self.filter.statistics().jitter),
            bound: latest.map(|latest| yardstick.distance(latest)),
            age: latest.map(|latest| yardstick.age(latest)),
            authenticated: latest.is_some_and(|latest| latest.authenticated),
            interleaved: latest.is_some_and(|latest| latest.interleaved),
            counts,
            last_ignored: self.last_ignored.or(last_ignored),
        }
    }
}

impl Source {
    /// How its PTP Instance is, where it is one.
    pub(crate) fn ptp_status(&self) -> Option<PtpStatus> {
        let Speaker::Ptp(ptp) = &self.speaker else { return None };
        let instance = ptp.instance();
        let options = ptp.options();
        let (state, reason) = self.judgement();
        let mut counts = ptp.counts();
        counts.extend(self.rejections.iter().copied());
        Some(PtpStatus {
            source: self.id,
            name: self.name.clone(),
            port: options.port.key,
            transport: options.port.transport,
            profile: options.profile,
            default_ds: instance.default_ds(),
            current_ds: instance.current_ds(),
            parent_ds: instance.parent_ds(),
            time_properties_ds: instance.time_properties_ds(),
            port_ds: instance.port_ds(),
            foreign_masters: instance.foreign_masters().cloned().collect(),
            state,
            reason,
            counts,
        })
    }

    /// What selection makes of it, and why, in words.
    fn judgement(&self) -> (SourceState, String) {
        let state = self.verdict.map_or(SourceState::Unmeasured, |verdict| verdict.state);
        let why_silent = match &self.speaker {
            Speaker::Remote(remote) => remote.why_silent(),
            Speaker::Ptp(_) | Speaker::Wire(_) => None,
        };
        let reason = why_silent
            .or_else(|| self.verdict.map(|verdict| verdict.reason.to_string()))
            .unwrap_or_else(|| "nothing has been heard of it".to_owned());
        (state, reason)
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::SymmetricActive => "symmetric_active",
        Role::SymmetricPassive => "symmetric_passive",
        Role::BroadcastClient => "broadcast_client",
    }
}
