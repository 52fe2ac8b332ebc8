//! The groups that the time is broadcast to.

use core::net::SocketAddr;

use sidereal_ntp::{Broadcaster, MAX_MESSAGE_LEN};
use sidereal_time::{Arrived, LocalClock, Span, StampSource, Ticks};

use crate::config::{BroadcastOptions, MAX_BROADCASTS};
use crate::event::{Action, Endpoint, Outgoing};
use crate::report::{Report, Reports};
use crate::sources::{FIRST_BROADCAST, packet_id};
use crate::surroundings::Surroundings;

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    groups: Vec<Group>,
    /// Counts the configurations: a packet of an earlier one is not of this one.
    incarnation: u16,
    /// The group that is asked next for something to send.
    turn: usize,
}

#[derive(Debug)]
struct Group {
    to: SocketAddr,
    broadcaster: Broadcaster,
}

impl Broadcasts {
    /// Takes over other options: all groups begin anew.
    pub(crate) fn configure(&mut self, options: &[BroadcastOptions], now: Ticks, reports: &mut Reports) {
        if options.len() > MAX_BROADCASTS {
            reports.say(Report::LeftOut { what: "broadcast groups", count: options.len() - MAX_BROADCASTS });
        }
        self.incarnation = self.incarnation.wrapping_add(1);
        let group = |options: &BroadcastOptions| Group {
            to: options.to,
            broadcaster: Broadcaster::new(&options.broadcaster, now),
        };
        self.groups = options.iter().take(MAX_BROADCASTS).map(group).collect();
    }

    /// What became of a packet of group `index`.
    pub(crate) fn transmitted(&mut self, index: u16, incarnation: u16, sequence: u32, left: Option<Arrived>) {
        if incarnation != self.incarnation {
            return;
        }
        if let Some(group) = self.groups.get_mut(usize::from(index)) {
            let source = left.map_or(StampSource::Software, |left| left.source);
            group.broadcaster.transmitted(sequence, left.map(|left| left.ticks), source);
        }
    }

    /// Time has passed: each group may be sent to again.
    pub(crate) fn begin_turn(&mut self) {
        self.turn = 0;
    }

    pub(crate) fn timeouts(&self) -> impl Iterator<Item = Ticks> {
        self.groups.iter().map(|group| group.broadcaster.poll_timeout())
    }

    /// The packet that is due, if one is.
    pub(crate) fn poll_action(&mut self, here: &mut Surroundings, now: Ticks) -> Option<Action> {
        let (local, incarnation): (LocalClock, u16) = (here.local, self.incarnation);
        (FIRST_BROADCAST..).zip(&mut self.groups).skip(self.turn).find_map(|(whose, group)| {
            self.turn += 1;
            if local.passed(group.broadcaster.poll_timeout(), now) < Span::ZERO {
                return None;
            }
            let mut buffer = [0; MAX_MESSAGE_LEN];
            let transmit = here.with(|context| group.broadcaster.poll_transmit(now, context, &mut buffer))?;
            Some(Action::Send(Outgoing {
                packet: packet_id(whose, incarnation, transmit.sequence),
                source: None,
                to: group.to,
                from: Endpoint::Ntp,
                payload: buffer.get(..transmit.len)?.iter().copied().collect(),
                stamp_wanted: transmit.stamp_wanted,
            }))
        })
    }
}
