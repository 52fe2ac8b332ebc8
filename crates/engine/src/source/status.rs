//! How a source is, for people and programs that ask.

use sidereal_ntp::Role;

use super::{Source, Speaker, Yardstick};
use crate::config::ReferenceKind;
use crate::selection::SourceState;
use crate::status::SourceStatus;

impl Source {
    /// How it is, measured with `yardstick`.
    pub(crate) fn status(&self, yardstick: &Yardstick<'_>) -> SourceStatus {
        let latest = self.latest.as_ref();
        let state = self.verdict.map_or(SourceState::Unmeasured, |verdict| verdict.state);
        let why_silent = match &self.speaker {
            Speaker::Remote(remote) => remote.why_silent(),
            Speaker::Wire(_) => None,
        };
        let reason = why_silent
            .or_else(|| self.verdict.map(|verdict| verdict.reason.to_string()))
            .unwrap_or_else(|| "nothing has been heard of it".to_owned());
        let (address, kind, mode, poll, mut counts, last_ignored) = match &self.speaker {
            Speaker::Remote(remote) => {
                let poll = remote.association().map_or(remote.options().min_poll, |association| association.poll());
                let mode = role_name(remote.options().role);
                (remote.address(), "ntp", Some(mode), poll, remote.counts(), remote.last_ignored())
            }
            Speaker::Wire(wire) => {
                let kind = match wire.options().kind {
                    ReferenceKind::Sampled => "sampled",
                    ReferenceKind::Pulse => "pulse",
                };
                let counts = wire.counts().into_iter().filter(|(_, count)| *count > 0).collect();
                (None, kind, None, wire.options().poll, counts, None)
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
            stratum: self.stratum(),
            reference_id: match &self.speaker {
                Speaker::Remote(_) => self.server().map(|server| server.reference_id),
                Speaker::Wire(wire) => Some(wire.options().reference_id),
            },
            leap: self.leap(),
            poll: poll.exponent(),
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

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::SymmetricActive => "symmetric_active",
        Role::SymmetricPassive => "symmetric_passive",
        Role::BroadcastClient => "broadcast_client",
    }
}
