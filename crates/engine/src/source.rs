//! A source: how it is spoken with, what it said last, and what is made of it.

mod measure;
mod speaker;
mod status;

pub(crate) use measure::{Said, Yardstick};
pub(crate) use speaker::{Speaker, Upstream};

use core::net::SocketAddr;

use sidereal_ntp::{AssociationOptions, Context, LeapIndicator, PollAdvice, Stratum};
use sidereal_servo::{Filtered, Measurement, SourceFilter};
use sidereal_time::{Arrived, ClockModel, Instant, LeapTable, LocalClock, Reading, Span, Tai, Ticks};

use measure::Raw;

use crate::config::{SourceKind, SourceOptions};
use crate::event::ClockReading;
use crate::identity::Identity;
use crate::leap;
use crate::report::{Report, Reports};
use crate::selection::{Candidate, SourceState, Verdict};
use crate::surroundings::Surroundings;
use crate::wire::Wire;

/// Which source: unique among those that are configured, the members of pools included, and never given to another one
/// while the first is still spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u16);

/// A source.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: SourceId,
    pub(crate) name: String,
    /// The pool that it is a member of.
    pub(crate) pool: Option<SourceId>,
    pub(crate) options: SourceOptions,
    pub(crate) speaker: Speaker,
    filter: SourceFilter,
    latest: Option<Latest>,
    verdict: Option<Verdict>,
    /// How it was judged when that was last said, and when.
    pub(crate) said: Option<(SourceState, Ticks)>,
    /// Since when it has been a falseticker without a break.
    pub(crate) false_since: Option<Ticks>,
    samples: u32,
    rejections: Vec<(&'static str, u64)>,
    last_ignored: Option<&'static str>,
}

/// What a source measured last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latest {
    pub(crate) measurement: Measurement,
    /// Whether it was authenticated and interleaved.
    authenticated: bool,
    interleaved: bool,
}

impl Source {
    pub(crate) fn new(
        id: SourceId,
        name: String,
        pool: Option<SourceId>,
        options: &SourceOptions,
        speaker: Speaker,
        local: &LocalClock,
    ) -> Self {
        Self {
            id,
            name,
            pool,
            options: options.clone(),
            speaker,
            filter: SourceFilter::new(&options.filter, *local),
            latest: None,
            verdict: None,
            said: None,
            false_since: None,
            samples: 0,
            rejections: Vec::new(),
            last_ignored: None,
        }
    }

    /// Whether it is made by these options; then `options` may replace what it has.
    pub(crate) fn is_of(&self, options: &SourceOptions) -> bool {
        self.options.name == options.name
            && match (&self.options.kind, &options.kind) {
                (
                    SourceKind::Ntp { address: a, association: x, .. },
                    SourceKind::Ntp { address: b, association: y, .. },
                ) => a == b && x.role == y.role,
                (SourceKind::Reference { kind: a, .. }, SourceKind::Reference { kind: b, .. }) => a == b,
                // An instance that is to be another begins anew.
                (SourceKind::Ptp(a), SourceKind::Ptp(b)) => a == b,
                _ => false,
            }
    }

    /// Takes over other options of the same source.
    pub(crate) fn configure(
        &mut self,
        options: &SourceOptions,
        local: &LocalClock,
        now: Ticks,
        context: &mut Context<'_>,
    ) {
        if self.options.filter != options.filter || self.options.offset != options.offset {
            self.filter = SourceFilter::new(&options.filter, *local);
            self.latest = None;
        }
        match (&mut self.speaker, &options.kind) {
            (Speaker::Remote(remote), SourceKind::Ntp { association, .. })
                if !speak_alike(remote.options(), association) =>
            {
                remote.restart(association, now, context);
            }
            (Speaker::Wire(wire), SourceKind::Reference { .. }) => {
                if let Some(new) = options.kind.wire()
                    && *wire.options() != new
                {
                    **wire = Wire::new(&new, now);
                }
            }
            _ => {}
        }
        self.options = options.clone();
    }

    /// Forgets all that was measured: its clock is another one, or our counter is.
    pub(crate) fn forget(&mut self) {
        self.filter.reset();
        self.latest = None;
        if let Speaker::Ptp(ptp) = &mut self.speaker {
            ptp.forget();
        }
    }

    /// TAI has moved by `by` under what was measured.
    pub(crate) fn relabel(&mut self, by: Span, now: Ticks) {
        self.filter.relabel(by);
        if let Some(latest) = &mut self.latest {
            let reading = latest.measurement.reading;
            latest.measurement.reading = Reading::new(reading.ticks(), reading.at() + by, reading.window());
        }
        if let Speaker::Wire(wire) = &mut self.speaker {
            wire.forget(now);
        }
    }

    /// Takes a datagram that came to its socket, and took `reception` to arrive.
    pub(crate) fn receive(
        &mut self,
        from: SocketAddr,
        payload: &[u8],
        (arrival, reception): (Arrived, Span),
        now: Ticks,
        here: &mut Surroundings,
        reports: &mut Reports,
    ) {
        let Speaker::Remote(remote) = &mut self.speaker else { return self.ignore("wrong_kind") };
        let kissed = here.with(|context| remote.receive(from, payload, (arrival, reception), now, context));
        if let Some(code) = kissed {
            reports.say(Report::Kissed { source: self.name.clone(), code });
        }
    }

    /// Takes a PTP message that came to its port.
    pub(crate) fn receive_ptp(
        &mut self,
        message: &[u8],
        from: Option<sidereal_ptp::Address>,
        arrival: Option<Arrived>,
        now: Ticks,
        here: &mut Surroundings,
        reports: &mut Reports,
    ) {
        let Speaker::Ptp(ptp) = &mut self.speaker else { return self.ignore("wrong_kind") };
        if let Some(reason) = ptp.receive(message, from, arrival, now, here) {
            reports.say(Report::PtpIgnored { source: self.name.clone(), from, reason });
        }
        if ptp.has_changed_master() {
            self.forget();
        }
    }

    /// The link of its PTP Port is gone, or back.
    pub(crate) fn usable(&mut self, usable: bool, now: Ticks, here: &mut Surroundings) {
        if let Speaker::Ptp(ptp) = &mut self.speaker {
            ptp.usable(usable, now, here);
        }
    }

    /// So many Delay_Req came to its PTP Port, and so many were answered.
    pub(crate) fn answered(&mut self, received: u64, sent: u64) {
        if let Speaker::Ptp(ptp) = &mut self.speaker {
            ptp.answered(received, sent);
        }
    }

    /// What became of a packet that was sent to it.
    pub(crate) fn transmitted(
        &mut self,
        incarnation: u16,
        sequence: u32,
        left: Option<Arrived>,
        now: Ticks,
        here: &mut Surroundings,
    ) {
        match &mut self.speaker {
            Speaker::Remote(remote) => remote.transmitted(incarnation, sequence, left),
            Speaker::Ptp(ptp) => ptp.transmitted(sequence, left, now, here),
            Speaker::Wire(_) => {}
        }
    }

    /// Takes what a reference clock shows.
    pub(crate) fn sampled(
        &mut self,
        reading: &ClockReading,
        indicator: LeapIndicator,
        table: &LeapTable,
        model: Option<&ClockModel>,
    ) {
        let Speaker::Wire(wire) = &mut self.speaker else { return self.ignore("wrong_kind") };
        let reading = match reading {
            ClockReading::Tai(reading) => Some(*reading),
            ClockReading::Utc(reading) => {
                let predicted = model.map(|model| model.instant(reading.ticks()));
                leap::place(table, reading.at(), predicted)
                    .map(|placed| Reading::new(reading.ticks(), placed.tai, reading.window()))
            }
            ClockReading::Free(_) => return self.ignore("no_scale"),
        };
        let taken = reading.ok_or("ambiguous").and_then(|reading| wire.sampled(reading, indicator));
        if let Err(why) = taken {
            self.ignore(why);
        }
    }

    /// Takes a pulse. `told` is the time by those who know the second, and how far that may be off.
    pub(crate) fn pulse(&mut self, ticks: Ticks, window: Span, told: Option<(Instant<Tai>, Span)>) {
        let offset = self.options.offset;
        let Speaker::Wire(wire) = &mut self.speaker else { return self.ignore("wrong_kind") };
        if let Err(why) = wire.pulse(ticks, window, offset, told) {
            self.ignore(why);
        }
    }

    /// What it has to say, if there is something new.
    pub(crate) fn poll_said(&mut self, local: &LocalClock) -> Option<Said> {
        self.speaker.poll_said(local)
    }

    /// When that was by TAI, as far as anybody can tell; corrected by what is configured.
    pub(crate) fn place(&mut self, said: &Said, table: &LeapTable, model: Option<&ClockModel>) -> Option<Reading<Tai>> {
        let offset = self.options.offset;
        let reading = match said.reading {
            Raw::Tai(reading) => Reading::new(reading.ticks(), reading.at() + offset, reading.window()),
            Raw::Utc(reading) => {
                let predicted = model.map(|model| model.instant(reading.ticks()));
                let Some(placed) = leap::place(table, reading.at() + offset, predicted) else {
                    self.ignore("ambiguous");
                    return None;
                };
                Reading::new(reading.ticks(), placed.tai, reading.window())
            }
        };
        Some(reading)
    }

    /// Whether what a PTP master says is one of the well-known mistakes, by our time `model`: it is then waited with, and
    /// counted. Our time is right within `bound`.
    pub(crate) fn is_mistaken(
        &mut self,
        reading: &Reading<Tai>,
        yardstick: &Yardstick<'_>,
        bound: Span,
        table: &LeapTable,
        reports: &mut Reports,
    ) -> bool {
        let Speaker::Ptp(ptp) = &mut self.speaker else { return false };
        let offset = reading.at() - yardstick.model.instant(reading.ticks());
        let tai_offset_s = leap::tai_offset_s(table, yardstick.model.instant(yardstick.now));
        // Our own time may be the mistaken one, as long as it may be so far off.
        let suspicion = sidereal_ptp::suspicion(offset, Some(tai_offset_s)).filter(|_| offset.abs() > bound + bound);
        let Some((suspicion, is_new)) = ptp.suspect(suspicion, yardstick.local, yardstick.now) else { return false };
        if is_new {
            reports.say(Report::PtpMistaken { source: self.name.clone(), suspicion, by: offset });
        }
        self.ignore(suspicion.name());
        true
    }

    /// Judges what it said by what it said before.
    pub(crate) fn measure(
        &mut self,
        said: &Said,
        reading: Reading<Tai>,
        model: Option<&ClockModel>,
    ) -> Option<Measurement> {
        if let (Speaker::Ptp(ptp), Some(model)) = (&mut self.speaker, model) {
            ptp.observed(model.instant(reading.ticks()) - reading.at());
        }
        match self.filter.offer(reading, said.dispersion, model) {
            Filtered::Passed(measurement) => {
                self.samples = self.samples.wrapping_add(1);
                let Said { authenticated, interleaved, .. } = *said;
                self.latest = Some(Latest { measurement, authenticated, interleaved });
                Some(measurement)
            }
            Filtered::Held => None,
            Filtered::Rejected(rejection) => {
                self.ignore(rejection.name());
                None
            }
        }
    }

    /// Counts a reading that is of no use.
    pub(crate) fn ignore(&mut self, why: &'static str) {
        self.last_ignored = Some(why);
        match self.rejections.iter_mut().find(|(name, _)| *name == why) {
            Some((_, count)) => *count += 1,
            None => self.rejections.push((why, 1)),
        }
    }

    pub(crate) fn advise(&mut self, advice: PollAdvice) {
        if let Speaker::Remote(remote) = &mut self.speaker {
            remote.advise(advice);
        }
    }

    /// The time from one measurement to the next.
    pub(crate) fn interval(&self) -> Span {
        self.speaker.interval()
    }

    pub(crate) fn set_verdict(&mut self, verdict: Verdict, now: Ticks) {
        self.verdict = Some(verdict);
        if verdict.state == SourceState::Falseticker {
            self.false_since.get_or_insert(now);
        } else {
            self.false_since = None;
        }
    }

    /// Whether its word counts in a majority, as far as is known.
    pub(crate) fn votes(&self) -> bool {
        !self.options.flags.noselect && !self.speaker.is_denied() && self.speaker.is_asked()
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    pub(crate) fn latest(&self) -> Option<&Latest> {
        self.latest.as_ref()
    }

    pub(crate) fn leap(&self) -> Option<LeapIndicator> {
        self.speaker.leap()
    }

    pub(crate) fn reach(&self) -> u8 {
        self.speaker.reach()
    }

    /// Whether it has not been heard for long.
    pub(crate) fn is_silent(&self) -> bool {
        self.speaker.is_silent()
    }

    /// Whether it knows by itself which second it is.
    pub(crate) fn knows_seconds(&self) -> bool {
        self.speaker.knows_seconds()
    }

    /// Whether it is a server at `address`.
    pub(crate) fn is_at(&self, address: SocketAddr) -> bool {
        self.speaker.is_at(address)
    }

    /// How it stands at a selection.
    pub(crate) fn candidate(&self, yardstick: &Yardstick<'_>, identity: &Identity) -> Candidate {
        let statistics = self.filter.statistics();
        let latest = self.latest.as_ref();
        Candidate {
            id: self.id,
            offset: latest.map_or(Span::ZERO, |latest| yardstick.offset(latest)),
            distance: latest.map_or(Span::ZERO, |latest| yardstick.distance(latest)),
            jitter: statistics.jitter,
            stratum: self.speaker.stratum().map_or(Stratum::UNSYNCHRONISED.number(), Stratum::number),
            reachable: self.reach() != 0,
            synchronised: self.speaker.is_synchronised(),
            looped: self.speaker.is_looped(identity),
            authenticated: latest.is_some_and(|latest| latest.authenticated),
            samples: if latest.is_some() { self.samples.max(1) } else { 0 },
            age: latest.map_or(Span::ZERO, |latest| yardstick.age(latest)),
            flags: self.options.flags,
        }
    }

    /// What is told on of it, if we follow it.
    pub(crate) fn upstream(&self) -> Option<Upstream> {
        self.speaker.upstream(self.latest.as_ref()?.measurement.reading.window())
    }

    /// Its stratum as it is told, for people.
    pub(crate) fn told_stratum(&self) -> Stratum {
        self.speaker.stratum().unwrap_or(Stratum::UNSYNCHRONISED)
    }
}

/// Whether two associations would speak alike, so that one can go on as the other. Keys cannot be compared: where there is
/// one, it may be another.
pub(crate) fn speak_alike(a: &AssociationOptions, b: &AssociationOptions) -> bool {
    let manners = |x: &AssociationOptions| {
        (x.role, x.version, x.interleaved, x.min_poll, x.max_poll, x.iburst, x.burst, x.max_delay, x.max_delay_ratio)
    };
    a.key.is_none() && b.key.is_none() && a.over_ptp == b.over_ptp && manners(a) == manners(b)
}
