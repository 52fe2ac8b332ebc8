//! How everything is: what workers count, what ports say of their links, what is published of the clock.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{Count, CounterReading, ResidenceReader, SnapshotReader, WorkerCounters};
use sidereal_ntp::LeapIndicator;
use sidereal_ops::{
    ClockStatus, LinkState, PortStatus, Ptp, RateMeter, ResidenceStatus, Sources, Status, Totals, WorkerStatus,
};
use sidereal_time::{Counter, Span};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::exception::ExceptionCounts;
use super::link::LinkWatch;
use super::ports;
use super::view::ViewReader;
use crate::config::{Config, Idle, Mode, PortKind};
use crate::leap::{self, Leap};
use crate::show::{self, nanos};

/// Knows how everything is. It reads what others write, and belongs to the thread that serves the control socket.
pub(super) struct Board {
    started: Instant,
    mode: Mode,
    idle: Idle,
    counter: LocalCounter,
    snapshot: SnapshotReader,
    view: ViewReader,
    leap: Leap,
    ports: Vec<PortView>,
    workers: Vec<WorkerView>,
}

/// A port, as the board knows it.
struct PortView {
    /// All that does not change; rates and link are filled in when somebody asks.
    fixed: PortStatus,
    link: LinkWatch,
    exception: Option<Arc<ExceptionCounts>>,
    /// Of those who answer NTP that PTP carries for it, besides its workers.
    over_ptp: Vec<Arc<WorkerCounters>>,
    meter: RateMeter,
}

/// A worker, as the board knows it.
struct WorkerView {
    port: usize,
    queue: usize,
    core: Option<usize>,
    counters: Arc<WorkerCounters>,
    residence: ResidenceReader,
    meter: RateMeter,
}

impl Board {
    /// A board without ports and workers.
    pub(super) fn new(
        config: &Config,
        counter: LocalCounter,
        snapshot: SnapshotReader,
        view: ViewReader,
        leap: Leap,
    ) -> Self {
        Self {
            started: Instant::now(),
            mode: config.mode,
            idle: config.workers.idle,
            counter,
            snapshot,
            view,
            leap,
            ports: Vec::new(),
            workers: Vec::new(),
        }
    }

    /// Adds the next port of the configuration.
    pub(super) fn add_port(
        &mut self,
        port: &crate::config::Port,
        capabilities: Vec<String>,
        mac: Option<[u8; 6]>,
        link: LinkWatch,
    ) {
        let (backend, device, addresses) = match &port.kind {
            PortKind::Kernel(kernel) => {
                let interface = kernel.interface.as_ref().map(ToString::to_string);
                ("kernel", interface, kernel.bind.iter().map(ToString::to_string).collect())
            }
            PortKind::Dpdk(dpdk) => {
                let addresses = dpdk.addresses.iter().map(ToString::to_string).collect();
                ("dpdk", Some(dpdk.device.clone()), addresses)
            }
        };
        let fixed = PortStatus {
            name: port.name.to_string(),
            backend: backend.into(),
            device,
            addresses,
            mac: mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")),
            link: LinkState::Unknown,
            capabilities,
            rates: sidereal_ops::Rates::default(),
            counts: BTreeMap::new(),
        };
        self.ports.push(PortView { fixed, link, exception: None, over_ptp: Vec::new(), meter: RateMeter::default() });
    }

    /// Adds the exception path of the port that was added last.
    pub(super) fn add_exception_path(&mut self, counts: Arc<ExceptionCounts>) {
        if let Some(port) = self.ports.last_mut() {
            port.exception = Some(counts);
        }
    }

    /// Adds who answers NTP that PTP carries on the port that was added last, besides its workers.
    pub(super) fn add_over_ptp(&mut self, counters: Arc<WorkerCounters>) {
        if let Some(port) = self.ports.last_mut() {
            port.over_ptp.push(counters);
        }
    }

    /// Adds a worker of the port that was added last.
    pub(super) fn add_worker(
        &mut self,
        queue: usize,
        core: Option<usize>,
        counters: Arc<WorkerCounters>,
        residence: ResidenceReader,
    ) {
        let port = self.ports.len().saturating_sub(1);
        self.workers.push(WorkerView { port, queue, core, counters, residence, meter: RateMeter::default() });
    }

    /// Takes over a new table of leap seconds.
    pub(super) fn set_leap(&mut self, leap: Leap) {
        self.leap = leap;
    }

    /// Reads the counters and looks at the links, about once a second: those that have changed, by the place of their port.
    pub(super) fn tick(&mut self) -> Vec<(usize, LinkState)> {
        let now = self.started.elapsed();
        let mut sums = vec![Totals::default(); self.ports.len()];
        for worker in &mut self.workers {
            let totals = totals(&worker.counters.read());
            worker.meter.update(now, totals);
            worker.residence.read();
            if let Some(sum) = sums.get_mut(worker.port) {
                *sum = *sum + totals;
            }
        }
        let mut changed = Vec::new();
        for (place, (port, sum)) in self.ports.iter_mut().zip(sums).enumerate() {
            let carried = port.over_ptp.iter().map(|counters| totals(&counters.read()));
            port.meter.update(now, carried.fold(sum, |sum, carried| sum + carried));
            changed.extend(port.link.look(&port.fixed.name).map(|state| (place, state)));
        }
        changed
    }

    /// How everything is.
    pub(super) fn status(&mut self) -> Status {
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").into(),
            mode: match self.mode {
                Mode::Appliance => "appliance".into(),
                Mode::Single => "single".into(),
            },
            uptime_s: self.started.elapsed().as_secs(),
            clock: self.clock(),
            readings: BTreeMap::new(),
            clocks: Vec::new(),
            ptp: self.view.get().ptp.iter().map(show::ptp::summary).collect(),
            leap_seconds: self.leap.status(leap::now()),
            ports: self.ports.iter().map(PortView::status).collect(),
            workers: self.workers(),
        };
        let shown = self.view.get();
        if let Some(engine) = &shown.status {
            show::complete(&mut status, engine, &shown.sources);
            for seen in &shown.clocks {
                let name = engine.clocks.iter().find(|clock| clock.id == seen.id).map(|clock| &clock.name);
                for clock in status.clocks.iter_mut().filter(|clock| Some(&clock.name) == name) {
                    clock.method = seen.method.map(ToOwned::to_owned);
                    clock.rx_to_correction_ns = seen.corrections;
                }
            }
        }
        status
    }

    /// What is thought of the sources.
    pub(super) fn sources(&self) -> Sources {
        let shown = self.view.get();
        shown.status.as_ref().map(|status| show::sources(status, &shown.sources)).unwrap_or_default()
    }

    /// How the PTP instances are.
    pub(super) fn ptp(&self) -> Ptp {
        show::ptp::ptp(&self.view.get().ptp)
    }

    fn clock(&mut self) -> ClockStatus {
        self.snapshot.refresh();
        let snapshot = self.snapshot.get();
        let (model, system) = (&snapshot.local, &snapshot.system);
        let now = self.counter.now();
        let tai = model.instant(now);
        let utc = self.leap.table.tai_to_utc(tai);
        ClockStatus {
            reference: "system".into(),
            state: String::new(),
            system_peer: None,
            bound_ns: None,
            uncertainty_ns: None,
            frequency_ppb: None,
            synchronised: system.leap != LeapIndicator::Unknown,
            stratum: system.stratum.number(),
            leap: leap::indicator_name(system.leap).into(),
            reference_id: system.reference_id.to_string(),
            tai_offset_s: i32::try_from((tai.units() - utc.units()) / Span::SECOND.units()).unwrap_or(0),
            root_delay_ns: nanos(system.root_delay.as_span()),
            root_dispersion_ns: nanos(system.root_dispersion.as_span()),
            counter: match model.counter {
                Counter::Tsc => "tsc",
                Counter::MonotonicRaw => "monotonic_raw",
                Counter::Realtime => "realtime",
                Counter::Nic(_) => "nic",
            }
            .into(),
            counter_hertz: model.rate.as_hertz(),
            model_error_ns: nanos(model.error),
            model_age_ns: nanos(model.rate.span(model.elapsed(now))),
            generation: model.generation,
            snapshots: snapshot.sequence,
        }
    }

    fn workers(&mut self) -> Vec<WorkerStatus> {
        let idle = match (self.mode, self.idle) {
            (Mode::Single, _) => "poll",
            (Mode::Appliance, Idle::Spin) => "spin",
            (Mode::Appliance, Idle::Yield) => "yield",
            (Mode::Appliance, Idle::Sleep) => "sleep",
        };
        let ports = &self.ports;
        let status = |worker: &mut WorkerView| {
            let reading = worker.counters.read();
            WorkerStatus {
                port: ports.get(worker.port).map(|port| port.fixed.name.clone()).unwrap_or_default(),
                queue: worker.queue,
                core: worker.core,
                idle: idle.into(),
                rates: worker.meter.rates(),
                counts: Count::ALL.iter().map(|what| (what.name().into(), reading.count(*what))).collect(),
                replies: occurred(reading.replies().map(|(kind, count)| (kind.name(), count))),
                drops: occurred(reading.drops().map(|(reason, count)| (reason.name(), count))),
                residence: residence(&mut worker.residence),
            }
        };
        self.workers.iter_mut().map(status).collect()
    }
}

impl PortView {
    fn status(&self) -> PortStatus {
        let exception = self.exception.iter().flat_map(|counts| counts.read());
        let mut counts = self.link.counts().clone();
        counts.extend(exception.map(|(name, count)| (name.to_owned(), count)));
        for (name, count) in self.over_ptp.iter().flat_map(|counters| over_ptp(&counters.read())) {
            *counts.entry(name).or_default() += count;
        }
        let mut status =
            PortStatus { link: self.link.state(), rates: self.meter.rates(), counts, ..self.fixed.clone() };
        if let Some(found) = self.link.capabilities() {
            status.capabilities = ports::statements(found);
        }
        status
    }
}

/// What has occurred to NTP that PTP carries.
fn over_ptp(reading: &CounterReading) -> Vec<(String, u64)> {
    const COUNTS: [Count; 5] = [Count::Received, Count::Sent, Count::Refused, Count::StampsTaken, Count::StampsLost];
    let counts = COUNTS.into_iter().map(|count| (count.name(), reading.count(count)));
    let replies = reading.replies().map(|(kind, count)| (kind.name(), count));
    let drops = reading.drops().map(|(reason, count)| (reason.name(), count));
    let occurred = counts.chain(replies).chain(drops).filter(|(_, count)| *count > 0);
    occurred.map(|(name, count)| (format!("over_ptp_{}", name.trim_start_matches("over_ptp_")), count)).collect()
}

fn totals(reading: &CounterReading) -> Totals {
    Totals {
        received: reading.count(Count::Received),
        replied: reading.replies().map(|(_, count)| count).sum(),
        dropped: reading.drops().map(|(_, count)| count).sum(),
        to_kernel: reading.count(Count::ToKernel),
    }
}

fn occurred<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| (name.into(), count)).collect()
}

fn residence(reader: &mut ResidenceReader) -> Option<ResidenceStatus> {
    let histogram = reader.read();
    let at = |quantile| histogram.value_at_quantile(quantile);
    (!histogram.is_empty()).then(|| ResidenceStatus {
        count: histogram.len(),
        p50_ns: at(0.5),
        p90_ns: at(0.9),
        p99_ns: at(0.99),
        p99_9_ns: at(0.999),
        max_ns: histogram.max(),
    })
}
