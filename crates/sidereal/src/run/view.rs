//! How the engine is, for people who ask: shown once a second by its thread, read by the one that serves them.

use sidereal_engine::{PtpStatus, SourceStatus, Status};
use sidereal_ops::CorrectionStatus;
use sidereal_time::ClockId;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the view is renewed.
const PERIOD: Duration = Duration::from_secs(1);

/// What the engine last said of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// How the clock is; nothing before the first turn.
    pub(super) status: Option<Status>,
    /// What is thought of the sources.
    pub(super) sources: Vec<SourceStatus>,
    /// How the PTP instances are.
    pub(super) ptp: Vec<PtpStatus>,
    /// What is known of the clocks of the host besides.
    pub(super) clocks: Vec<SeenClock>,
}

/// What is known of a clock besides what the engine knows.
#[derive(Debug, Clone)]
pub(super) struct SeenClock {
    pub(super) id: ClockId,
    /// How it is read, once it is open; nothing of the system clock.
    pub(super) method: Option<&'static str>,
    /// How soon measurements led to corrections.
    pub(super) corrections: Option<CorrectionStatus>,
}

/// The engine's side.
#[derive(Debug, Default)]
pub(super) struct View {
    shared: Arc<Mutex<Arc<Shown>>>,
    renewed: Option<Instant>,
}

/// The other side.
#[derive(Debug, Clone)]
pub(super) struct ViewReader(Arc<Mutex<Arc<Shown>>>);

impl View {
    /// Who may read it.
    pub(super) fn reader(&self) -> ViewReader {
        ViewReader(Arc::clone(&self.shared))
    }

    /// Whether it is time to renew it.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.renewed.is_none_or(|renewed| now.saturating_duration_since(renewed) >= PERIOD)
    }

    /// Renews it.
    pub(super) fn show(&mut self, shown: Shown, now: Instant) {
        self.renewed = Some(now);
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }
}

impl ViewReader {
    /// What was last shown.
    pub(super) fn get(&self) -> Arc<Shown> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
