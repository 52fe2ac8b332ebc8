//! What the workers are told.

use sidereal_ntp::SystemVariables;
use sidereal_time::{ClockModel, Counter, Instant, LeapTable, LocalClock, NtpClock, Rate, Span, Tai, Ticks, Utc};

use crate::leap;
use crate::smear::{SmearOptions, SmearedClocks};
use crate::snapshot::{NicClocks, Snapshot};

/// The snapshot, made anew whenever something has changed.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    snapshot: Snapshot,
    made: Ticks,
    wanted: bool,
}

/// What a snapshot is made of.
pub(crate) struct Contents<'a> {
    pub(crate) model: &'a ClockModel,
    pub(crate) realtime: &'a Realtime,
    pub(crate) table: &'a LeapTable,
    pub(crate) smear: &'a SmearOptions,
    /// When our time was last corrected.
    pub(crate) corrected: Instant<Tai>,
    pub(crate) system: SystemVariables,
}

/// CLOCK_REALTIME under our time.
pub(crate) struct Realtime {
    /// The clock as a counter of nanoseconds.
    pub(crate) model: ClockModel,
    /// The next leap second that the kernel will not make by itself.
    pub(crate) unmade: Option<(Instant<Tai>, i8)>,
}

impl Publication {
    /// There is nothing to tell but that.
    pub(crate) fn new(local: &LocalClock, now: Ticks) -> Self {
        let model = local.unknown(now);
        let local_ntp = NtpClock::new(&model, 0, None);
        let realtime_ntp = NtpClock::new(&realtime_model(Instant::EPOCH, Instant::EPOCH), 0, None);
        let snapshot = Snapshot {
            local: model,
            local_ntp,
            realtime_ntp,
            smeared: SmearedClocks::plain(local_ntp, realtime_ntp),
            nics: NicClocks::default(),
            system: SystemVariables { precision: local.precision, ..SystemVariables::UNSYNCHRONISED },
            sequence: 0,
        };
        Self { snapshot, made: now, wanted: true }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Makes the snapshot anew, to be published, where stamps are located by `nics`. Without contents our time stays as it was,
    /// and it says that we are `unsynchronised`.
    pub(crate) fn make(
        &mut self,
        contents: Option<&Contents<'_>>,
        nics: NicClocks,
        unsynchronised: &SystemVariables,
        now: Ticks,
    ) {
        self.made = now;
        self.wanted = true;
        self.snapshot.sequence += 1;
        self.snapshot.nics = nics;
        self.snapshot.system = contents.map_or(*unsynchronised, |contents| contents.system);
        let Some(Contents { model, realtime, table, smear, corrected, .. }) = contents else { return };
        let offset_at = |at| leap::tai_offset_s(table, at);
        self.snapshot.local = **model;
        self.snapshot.local_ntp = NtpClock::new(model, offset_at(model.reference), table.next(model.reference));
        self.snapshot.realtime_ntp =
            NtpClock::new(&realtime.model, offset_at(realtime.model.reference), realtime.unmade);
        self.snapshot.smeared = smear.clocks(table, model, &realtime.model, *corrected, model.instant(now));
    }

    /// How old it is.
    pub(crate) fn age(&self, local: &LocalClock, now: Ticks) -> Span {
        local.passed(self.made, now)
    }

    /// When it is made anew at the latest, where it is to be no older than `age`.
    pub(crate) fn due(&self, local: &LocalClock, age: Span) -> Ticks {
        local.later(self.made, age)
    }

    /// The counter was set back.
    pub(crate) fn counter_reset(&mut self, now: Ticks) {
        self.made = now;
    }

    /// The snapshot, where it has not been fetched.
    pub(crate) fn poll(&mut self) -> Option<Snapshot> {
        core::mem::take(&mut self.wanted).then_some(self.snapshot)
    }
}

/// CLOCK_REALTIME as a counter of nanoseconds: it showed `utc` at `tai`, and runs at its nominal rate.
pub(crate) fn realtime_model(utc: Instant<Utc>, tai: Instant<Tai>) -> ClockModel {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks wrap; before 1970 too")]
    let ticks = Ticks(utc.as_nanos_rounded() as u64);
    ClockModel {
        counter: Counter::Realtime,
        width: 64,
        reference_ticks: ticks,
        reference: tai,
        rate: Rate::NANOSECOND,
        error: Span::ZERO,
        drift_ppb: 0,
        generation: 0,
    }
}
