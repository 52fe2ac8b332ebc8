//! All sources: made, asked, judged, replaced.

mod instances;

use core::net::SocketAddr;

use sidereal_ntp::LeapIndicator;
use sidereal_ptp::PortKey;
use sidereal_time::{LocalClock, Span, Ticks};

use crate::config::{Address, MAX_SOURCES, SourceKind, SourceOptions};
use crate::event::{Action, Outgoing, PacketId, PtpOutgoing};
use crate::pool::Pool;
use crate::ptp::{Ptp, PtpPacket};
use crate::remote::{Packet, Remote};
use crate::report::{Report, Reports, is_fine};
use crate::resolution::Resolution;
use crate::selection::{SourceState, Verdict};
use crate::source::{Source, SourceId, Speaker, Yardstick};
use crate::status::SourceStatus;
use crate::surroundings::Surroundings;
use crate::wire::Wire;

/// How often a source is spoken of at most.
const SAY_PERIOD: Span = Span::from_secs(10);
/// The most messages of one PTP Instance at a time; more wait until time has passed.
const MAX_BURST: usize = 16;

/// All sources, and the pools that some are members of.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    all: Vec<Source>,
    pools: Vec<Pool>,
    next_id: u16,
    next_pool_id: u16,
    /// Those that are gone and may have sockets.
    gone: Vec<SourceId>,
    /// The source that is asked next for something to do.
    turn: usize,
    /// How many messages a PTP Instance has sent in its turn.
    burst: usize,
}

impl Sources {
    /// Takes over other options. A source that is still the same goes on.
    pub(crate) fn configure(
        &mut self,
        options: &[SourceOptions],
        here: &mut Surroundings,
        now: Ticks,
        reports: &mut Reports,
    ) {
        if options.len() > MAX_SOURCES {
            reports.say(Report::LeftOut { what: "sources", count: options.len() - MAX_SOURCES });
        }
        let local = here.local;
        let (old, old_pools) = (core::mem::take(&mut self.all), core::mem::take(&mut self.pools));
        let (mut members, mut old): (Vec<_>, Vec<_>) = old.into_iter().partition(|source| source.pool.is_some());
        for options in options.iter().take(MAX_SOURCES) {
            if let Some((address, wanted)) = pool_of(options) {
                let kept = old_pools.iter().find(|pool| pool.options.name == options.name);
                let pool = match kept {
                    Some(pool) if pool.resolution.name == address.0 && pool.resolution.port == address.1 => {
                        let resolution = pool.resolution.clone();
                        Pool::new(pool.id, options, wanted, resolution)
                    }
                    _ => Pool::new(self.new_pool_id(), options, wanted, Resolution::new(address.0, address.1, now)),
                };
                for mut member in members.extract_if(.., |member| member.pool == Some(pool.id)) {
                    let options = SourceOptions { name: member.name.clone(), ..options.clone() };
                    here.with(|context| member.configure(&options, &local, now, context));
                    self.all.push(member);
                }
                self.pools.push(pool);
            } else if let Some(index) = old.iter().position(|source| source.is_of(options)) {
                let mut source = old.swap_remove(index);
                here.with(|context| source.configure(options, &local, now, context));
                self.all.push(source);
            } else if let Some(source) = self.make(options, here, now) {
                self.all.push(source);
            }
        }
        self.gone.extend(old.iter().chain(&members).map(|source| source.id));
        // Whoever never fetches actions has no sockets either.
        self.gone.truncate(MAX_SOURCES);
    }

    pub(crate) fn get_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        self.all.iter_mut().find(|source| source.id == id)
    }

    pub(crate) fn get(&self, id: SourceId) -> Option<&Source> {
        self.all.iter().find(|source| source.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Source> + Clone {
        self.all.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many sources might vote: those that are measured, and those whose address is not known; not PTP Ports that follow
    /// nobody.
    pub(crate) fn electorate(&self) -> usize {
        let sources = self.all.iter().filter(|source| source.votes()).count();
        let pools = self
            .pools
            .iter()
            .filter(|pool| !pool.options.flags.noselect && !self.all.iter().any(|source| source.pool == Some(pool.id)));
        sources + pools.count()
    }

    /// What the sources that `followed` names say of leap seconds.
    pub(crate) fn leaps(&self, followed: impl Fn(SourceId) -> bool) -> Vec<LeapIndicator> {
        self.all.iter().filter(|source| followed(source.id)).filter_map(Source::leap).collect()
    }

    /// The addresses that a name stands for.
    pub(crate) fn resolved(
        &mut self,
        id: SourceId,
        addresses: Vec<SocketAddr>,
        local: &LocalClock,
        now: Ticks,
        reports: &mut Reports,
    ) {
        if addresses.is_empty() {
            return self.resolve_failed(id, local, now, reports);
        }
        if let Some((_, resolution)) = self.resolution_mut(id) {
            resolution.resolved(addresses, local, now);
        }
    }

    /// A name could not be resolved.
    pub(crate) fn resolve_failed(&mut self, id: SourceId, local: &LocalClock, now: Ticks, reports: &mut Reports) {
        if let Some((name, resolution)) = self.resolution_mut(id)
            && resolution.failed(local, now)
        {
            let source = name.to_owned();
            reports.say(Report::Unresolved { source });
        }
    }

    /// Lets time pass: names are asked for, members of pools replaced, silence noticed.
    pub(crate) fn run(&mut self, here: &mut Surroundings, now: Ticks, reports: &mut Reports) {
        let local = here.local;
        for source in &mut self.all {
            let restarted = match &mut source.speaker {
                Speaker::Remote(remote) => here.with(|context| remote.run(&local, now, context)),
                Speaker::Ptp(ptp) => {
                    ptp.run(&local, now);
                    ptp.has_changed_master()
                }
                Speaker::Wire(wire) => {
                    wire.run(&local, now);
                    false
                }
            };
            if restarted {
                source.forget();
            }
        }
        self.replace_members(&local, now, reports);
        self.fill_pools(here, now);
    }

    /// Takes note of what selection made of the sources.
    pub(crate) fn judged(&mut self, verdicts: &[(SourceId, Verdict)], now: Ticks) {
        for (id, verdict) in verdicts {
            // Both lists are in the same order, but for sources that selection was not asked about.
            if let Some(source) = self.get_mut(*id) {
                source.set_verdict(*verdict, now);
            }
        }
        for source in &mut self.all {
            if let Speaker::Ptp(ptp) = &source.speaker
                && let Some(verdict) = ptp.verdict()
            {
                source.set_verdict(verdict, now);
            }
        }
    }

    /// Says which sources are judged otherwise than before.
    pub(crate) fn say_judgements(&mut self, local: &LocalClock, now: Ticks, reports: &mut Reports) {
        for source in &mut self.all {
            let Some(verdict) = source.verdict() else { continue };
            let state = verdict.state;
            let news = match source.said {
                // At the start it may yet answer.
                None if matches!(state, SourceState::Unreachable | SourceState::Unmeasured) => source.is_silent(),
                None => !is_fine(state),
                Some((said, _)) if is_fine(said) && is_fine(state) => false,
                Some((said, at)) => said != state && local.passed(at, now) >= SAY_PERIOD,
            };
            if news {
                let reason = verdict.reason.to_string();
                reports.say(Report::Judged { source: source.name.clone(), state, reason });
            }
            if news || (source.said.is_none() && is_fine(state)) {
                source.said = Some((state, now));
            }
        }
    }

    /// When something is next to be done.
    pub(crate) fn timeouts(&self, local: &LocalClock) -> impl Iterator<Item = Ticks> {
        let sources = self.all.iter().filter_map(|source| source.speaker.poll_timeout(local));
        sources.chain(self.pools.iter().filter_map(|pool| pool.resolution.poll_timeout()))
    }

    /// Time has passed: each source may send again. Without this each sends once, or a burst, however coarse the counter is.
    pub(crate) fn begin_turn(&mut self) {
        (self.turn, self.burst) = (0, 0);
    }

    /// The next thing to do, if any.
    pub(crate) fn poll_action(&mut self, here: &mut Surroundings, now: Ticks) -> Option<Action> {
        if let Some(source) = self.gone.pop() {
            return Some(Action::Close { source });
        }
        let local = here.local;
        while let Some(source) = self.all.get_mut(self.turn) {
            if let Speaker::Ptp(ptp) = &mut source.speaker
                && self.burst < MAX_BURST
                && let Some(packet) = ptp.poll_transmit(now, here)
            {
                self.burst += 1;
                return Some(Action::SendPtp(ptp_outgoing(source.id, ptp.options().port.key, packet)));
            }
            if let Speaker::Remote(remote) = &mut source.speaker {
                if let Some(from) = remote.poll_listen() {
                    return Some(Action::Listen { source: source.id, from });
                }
                if let Some((name, port)) = remote.poll_resolve() {
                    return Some(Action::Resolve { source: source.id, name, port });
                }
                if let Some(packet) = here.with(|context| remote.poll_transmit(&local, now, context)) {
                    (self.turn, self.burst) = (self.turn + 1, 0);
                    return Some(Action::Send(outgoing(source.id, packet)));
                }
            }
            (self.turn, self.burst) = (self.turn + 1, 0);
        }
        self.pools
            .iter_mut()
            .find_map(|pool| pool.poll_resolve().map(|(name, port)| Action::Resolve { source: pool.id, name, port }))
    }

    /// The counter was set back: whatever is under way is lost.
    pub(crate) fn counter_reset(&mut self, here: &mut Surroundings, now: Ticks) {
        for source in &mut self.all {
            source.forget();
            source.said = source.said.map(|(state, _)| (state, now));
            source.false_since = source.false_since.map(|_| now);
            match &mut source.speaker {
                Speaker::Remote(remote) => {
                    let options = remote.options().clone();
                    here.with(|context| remote.restart(&options, now, context));
                }
                Speaker::Ptp(ptp) => ptp.counter_reset(now, here),
                Speaker::Wire(wire) => wire.forget(now),
            }
        }
        for pool in &mut self.pools {
            pool.resolution.counter_reset(now);
        }
    }

    /// Nothing that was measured is of use.
    pub(crate) fn forget_measurements(&mut self) {
        self.all.iter_mut().for_each(Source::forget);
    }

    /// TAI has moved by `by` under what was measured.
    pub(crate) fn relabel(&mut self, by: Span, now: Ticks) {
        self.all.iter_mut().for_each(|source| source.relabel(by, now));
    }

    /// How each one is, and pools that have no members.
    pub(crate) fn status(&self, yardstick: &Yardstick<'_>) -> Vec<SourceStatus> {
        let empty = self.pools.iter().filter(|pool| !self.all.iter().any(|source| source.pool == Some(pool.id)));
        self.all.iter().map(|source| source.status(yardstick)).chain(empty.map(Pool::status)).collect()
    }

    fn resolution_mut(&mut self, id: SourceId) -> Option<(&str, &mut Resolution)> {
        if let Some(pool) = self.pools.iter_mut().find(|pool| pool.id == id) {
            return Some((&pool.options.name, &mut pool.resolution));
        }
        let source = self.all.iter_mut().find(|source| source.id == id)?;
        match &mut source.speaker {
            Speaker::Remote(remote) => Some((&source.name, remote.resolution_mut()?)),
            Speaker::Ptp(_) | Speaker::Wire(_) => None,
        }
    }

    fn make(&mut self, options: &SourceOptions, here: &mut Surroundings, now: Ticks) -> Option<Source> {
        let speaker = match &options.kind {
            SourceKind::Ptp(instance) => Speaker::Ptp(Box::new(Ptp::new(instance, here, now))),
            SourceKind::Reference { .. } => Speaker::Wire(Box::new(Wire::new(&options.kind.wire()?, now))),
            SourceKind::Ntp { address: Address::Socket(address), association, .. } => {
                let remote = here.with(|context| Remote::at(association, *address, now, context));
                Speaker::Remote(Box::new(remote))
            }
            SourceKind::Ntp { address: Address::Name { name, port }, association, .. } => {
                let resolution = Resolution::new(name, *port, now);
                Speaker::Remote(Box::new(Remote::named(association, resolution)))
            }
        };
        Some(Source::new(self.new_id(), options.name.clone(), None, options, speaker, &here.local))
    }

    fn replace_members(&mut self, local: &LocalClock, now: Ticks, reports: &mut Reports) {
        let useless =
            self.all.extract_if(.., |source| source.pool.is_some() && Pool::uselessness(source, local, now).is_some());
        for member in useless {
            let reason = Pool::uselessness(&member, local, now).unwrap_or_default();
            reports.say(Report::Replaced { source: member.name, reason });
            self.gone.push(member.id);
            let pool = self.pools.iter_mut().find(|pool| Some(pool.id) == member.pool);
            if let (Some(pool), Speaker::Remote(remote)) = (pool, &member.speaker)
                && let Some(address) = remote.address()
            {
                pool.shun(address.ip());
            }
        }
        self.gone.truncate(MAX_SOURCES);
    }

    /// Gives pools the members that they lack.
    fn fill_pools(&mut self, here: &mut Surroundings, now: Ticks) {
        let mut pools = core::mem::take(&mut self.pools);
        for pool in &mut pools {
            let members = self.all.iter().filter(|source| source.pool == Some(pool.id)).count();
            for _ in members..pool.wanted {
                let room = self.all.len() < MAX_SOURCES;
                let Some(address) = pool.take(|address| self.all.iter().any(|source| source.is_at(*address))) else {
                    break;
                };
                if room && let Some(member) = self.make_member(pool, address, here, now) {
                    self.all.push(member);
                }
            }
            pool.ask(&here.local, now);
        }
        self.pools = pools;
    }

    fn make_member(&mut self, pool: &Pool, address: SocketAddr, here: &mut Surroundings, now: Ticks) -> Option<Source> {
        let SourceKind::Ntp { association, .. } = &pool.options.kind else { return None };
        let name = format!("{} ({})", pool.options.name, address.ip());
        let options = SourceOptions { name: name.clone(), ..pool.options.clone() };
        let remote = here.with(|context| Remote::at(association, address, now, context));
        let speaker = Speaker::Remote(Box::new(remote));
        Some(Source::new(self.new_id(), name, Some(pool.id), &options, speaker, &here.local))
    }

    /// The identifier of a source that no other has.
    fn new_id(&mut self) -> SourceId {
        loop {
            let id = SourceId(self.next_id % FIRST_POOL);
            self.next_id = self.next_id.wrapping_add(1);
            if !self.all.iter().any(|source| source.id == id) && !self.gone.contains(&id) {
                return id;
            }
        }
    }

    /// The identifier of a pool that no other has.
    fn new_pool_id(&mut self) -> SourceId {
        loop {
            let id = SourceId(FIRST_POOL + self.next_pool_id % FIRST_POOL);
            self.next_pool_id = self.next_pool_id.wrapping_add(1);
            if !self.pools.iter().any(|pool| pool.id == id) {
                return id;
            }
        }
    }
}

/// The first [`SourceId`] of a pool; those below are of sources.
const FIRST_POOL: u16 = 1 << 14;
/// The first number in a [`PacketId`] that is not a source's but a broadcast's.
pub(crate) const FIRST_BROADCAST: u16 = 1 << 15;

/// The number of a packet: whose it is, of which incarnation, and which one.
pub(crate) const fn packet_id(whose: u16, incarnation: u16, sequence: u32) -> PacketId {
    PacketId((whose as u64) << 48 | (incarnation as u64) << 32 | sequence as u64)
}

/// Whose packet it is, of which incarnation, and which one.
#[expect(clippy::cast_possible_truncation, reason = "each part is cut out on purpose")]
pub(crate) const fn packet_parts(PacketId(packet): PacketId) -> (u16, u16, u32) {
    ((packet >> 48) as u16, (packet >> 32) as u16, packet as u32)
}

fn outgoing(source: SourceId, packet: Packet) -> Outgoing {
    Outgoing {
        packet: packet_id(source.0, packet.incarnation, packet.sequence),
        source: Some(source),
        to: packet.to,
        from: packet.from,
        payload: packet.payload,
        stamp_wanted: packet.stamp_wanted,
    }
}

fn ptp_outgoing(source: SourceId, port: PortKey, packet: PtpPacket) -> PtpOutgoing {
    PtpOutgoing {
        packet: packet_id(source.0, 0, packet.sequence),
        port,
        class: packet.class,
        to: packet.to,
        payload: packet.payload,
        stamp_wanted: packet.stamp_wanted,
    }
}

/// The name and port of a pool, and how many members it is to have.
fn pool_of(options: &SourceOptions) -> Option<((&str, u16), usize)> {
    match &options.kind {
        SourceKind::Ntp { address: Address::Name { name, port }, pool: Some(wanted), .. } => {
            Some(((name, *port), *wanted))
        }
        _ => None,
    }
}
