//! A pool: one name, many servers. Members that are of no use are given up for others.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use sidereal_time::{LocalClock, Span, Ticks};

use crate::config::SourceOptions;
use crate::resolution::{MAX_ADDRESSES, Resolution};
use crate::selection::SourceState;
use crate::source::{Source, SourceId, Speaker};
use crate::status::SourceStatus;

/// The most members of a pool.
pub(crate) const MAX_MEMBERS: usize = 16;
/// How long a member may be a falseticker.
const FALSE_FOR: Span = Span::from_secs(1800);

/// A pool.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) id: SourceId,
    /// What its members are made from.
    pub(crate) options: SourceOptions,
    /// How many members it is to have.
    pub(crate) wanted: usize,
    pub(crate) resolution: Resolution,
    resolve_wanted: bool,
    /// The addresses of members that were given up, the last ones; they are not taken again.
    shunned: VecDeque<IpAddr>,
}

impl Pool {
    pub(crate) fn new(id: SourceId, options: &SourceOptions, wanted: usize, resolution: Resolution) -> Self {
        Self {
            id,
            options: options.clone(),
            wanted: wanted.clamp(1, MAX_MEMBERS),
            resolution,
            resolve_wanted: false,
            shunned: VecDeque::new(),
        }
    }

    /// Why `member` is to be given up, if it is.
    pub(crate) fn uselessness(member: &Source, local: &LocalClock, now: Ticks) -> Option<&'static str> {
        let Speaker::Remote(remote) = &member.speaker else { return None };
        if remote.is_denied() {
            Some("it refuses to serve us")
        } else if remote.is_silent() {
            Some("it does not answer")
        } else if member.false_since.is_some_and(|since| local.passed(since, now) > FALSE_FOR) {
            Some("it has been a falseticker for half an hour")
        } else {
            None
        }
    }

    /// Remembers not to take `address` again.
    pub(crate) fn shun(&mut self, address: IpAddr) {
        if self.shunned.len() == MAX_ADDRESSES {
            self.shunned.pop_front();
        }
        self.shunned.push_back(address);
    }

    /// The address of the next member, which is none of those that `taken` knows.
    pub(crate) fn take(&mut self, taken: impl Fn(&SocketAddr) -> bool) -> Option<SocketAddr> {
        let shunned = &self.shunned;
        self.resolution.take(|address| !shunned.contains(&address.ip()) && !taken(address))
    }

    /// Notices that its name is to be resolved.
    pub(crate) fn ask(&mut self, local: &LocalClock, now: Ticks) {
        self.resolve_wanted |= self.resolution.ask(local, now);
    }

    /// How it is while it has no members.
    pub(crate) fn status(&self) -> SourceStatus {
        SourceStatus {
            id: self.id,
            name: self.options.name.clone(),
            address: None,
            kind: "pool",
            mode: None,
            state: SourceState::Unreachable,
            reason: self.resolution.words(),
            stratum: None,
            reference_id: None,
            leap: None,
            poll: 0,
            reach: 0,
            offset: None,
            delay: None,
            jitter: None,
            bound: None,
            age: None,
            authenticated: false,
            interleaved: false,
            counts: Vec::new(),
            last_ignored: None,
        }
    }

    /// The name and port that is to be resolved.
    pub(crate) fn poll_resolve(&mut self) -> Option<(String, u16)> {
        core::mem::take(&mut self.resolve_wanted).then(|| (self.resolution.name.clone(), self.resolution.port))
    }
}
