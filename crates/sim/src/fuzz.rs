//! Random scenarios, and what must hold in every one of them.
//!
//! - Nothing panics, and no host moves its published time but by a new generation.
//! - The bound contains the truth, except for a while after something that nobody can know at once: see [`excused`].
//! - When everything has been in order for long enough, every host is synchronised again.

mod ptp;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use sidereal_time::Span;
use toml::Spanned;

use crate::fault::{Fault, FaultKind};
use crate::random::{Stream, stream};
use crate::run::{Run, RunOptions, run};
use crate::scenario::document::{
    Document, FaultKindName, FaultTable, HostKind as Written, HostTable, JitterKind, JitterTable, LinkPreset,
    LinkTable, NicTable, OscillatorPreset, OscillatorTable, SourceMode, SourceTable, SwitchKind, SwitchTable,
};
use crate::scenario::values::{Length, Probability};
use crate::scenario::{EngineOptions, HostKind, Scenario, ScenarioError};

/// How long a run lasts, in seconds.
const DURATION_S: i64 = 7200;
/// Faults begin after this, in seconds,
const FAULTS_FROM_S: i64 = 1200;
/// and are over by this: what is left is for recovery.
const FAULTS_UNTIL_S: i64 = 3600;
/// How long after a fault a host may be wrong about itself, in seconds: until its sources were asked some times again.
const RECOVERY_S: i64 = 1200;
/// Polls reach from 2^0 s to this power.
const MAX_POLL: i8 = 5;
/// Lies are larger than this: what is smaller than what the paths hide cannot be told from the truth.
const LIE_MS: i64 = 200;

/// Ways there take up to this much longer than ways back, in nanoseconds; where a limit is declared, it is half of that.
const MOST_ASYMMETRIC_NS: i64 = 20_000;

/// The scenario `seed`, as it would be written.
#[must_use]
pub fn draw(seed: u64) -> Document {
    let mut random = stream(seed, "fuzz");
    // All or none: a liar who alone is authenticated is believed, as it should be.
    let authenticated = random.random::<f64>() < 0.3;
    Draw { random, ptp: stream(seed, "fuzz/ptp"), authenticated, liars: Vec::new() }.document()
}

/// The scenario `seed` as text.
///
/// # Errors
/// Where the TOML writer says so.
pub fn text(seed: u64) -> Result<String, toml::ser::Error> {
    toml::to_string_pretty(&draw(seed))
}

/// Runs the scenario `seed` and says what was wrong; nothing where all is well.
///
/// # Errors
/// Where the scenario cannot be read back: a fault of this module.
pub fn check(seed: u64) -> Result<Vec<String>, ScenarioError> {
    let name = format!("fuzz seed {seed}");
    let unwritten = |error: toml::ser::Error| {
        let invalid = crate::scenario::values::Invalid::new(error.to_string(), "report this seed");
        ScenarioError::whole(&name, invalid)
    };
    let scenario = Scenario::parse(&text(seed).map_err(unwritten)?, &name)?;
    let options = RunOptions { keep_samples: true, stability: false, ..RunOptions::default() };
    let run = run(&scenario, seed, options);
    Ok(complaints(&scenario, &run))
}

/// What is wrong with a run of `scenario` that kept its samples.
#[must_use]
pub fn complaints(scenario: &Scenario, run: &Run) -> Vec<String> {
    let mut complaints = run.breaches.clone();
    for (name, samples) in &run.samples {
        let wrong = samples.iter().find(|sample| {
            let at = Span::from_secs(sample.second.into());
            sample.synchronised && sample.error.abs() > sample.bound && !excused(scenario, at)
        });
        if let Some(sample) = wrong {
            complaints.push(format!(
                "{name}: after {} s the error of {:e} s is outside the bound of {:e} s",
                sample.second, sample.error, sample.bound
            ));
        }
        if samples.last().is_none_or(|last| !last.synchronised) {
            complaints.push(format!("{name}: not synchronised at the end"));
        }
    }
    complaints
}

/// Whether a host may be wrong about itself `at` after the beginning: its counter has jumped, or somebody that it believes
/// was wrong about itself, or a path was more asymmetric than its owner said, and it has not had time to see that.
#[must_use]
pub fn excused(scenario: &Scenario, at: Span) -> bool {
    scenario.faults.iter().any(|fault| {
        let ends = fault.at + fault.duration.unwrap_or(Span::ZERO);
        deceives(scenario, fault) && at >= fault.at && at <= ends + Span::from_secs(RECOVERY_S)
    })
}

/// Whether a fault makes a bound wrong that was right before.
fn deceives(scenario: &Scenario, fault: &Fault) -> bool {
    let mut engines = scenario.hosts.iter().filter_map(|host| match &host.kind {
        HostKind::Engine(options) => Some(options),
        HostKind::Reference(_) => None,
    });
    match fault.kind {
        // A clock that runs away is believed until it is further off than its path explains.
        FaultKind::LieRamp { .. } | FaultKind::CounterJump { .. } | FaultKind::Suspend { .. } => true,
        // With fewer than three sources no majority contradicts it.
        FaultKind::LieStep { host, .. } => {
            let by_ptp = scenario.hosts.get(host).is_some_and(|host| !host.ptp.is_empty());
            let asks = |options: &EngineOptions| options.names.iter().any(|(_, asked)| *asked == host);
            engines.any(|options| options.config.sources.len() < 3 && (by_ptp || asks(options)))
        }
        // Half the round trip covers any asymmetry; a declared limit does not.
        FaultKind::Asymmetry { .. } => engines.any(|options| options.asymmetry_limit > Span::ZERO),
        FaultKind::Unsynchronised { .. }
        | FaultKind::Degraded { .. }
        | FaultKind::Down { .. }
        | FaultKind::LinkDown { .. }
        | FaultKind::Delay { .. }
        | FaultKind::Jitter { .. }
        | FaultKind::SetClock { .. }
        | FaultKind::Restart { .. } => false,
    }
}

/// Draws the parts of a scenario.
struct Draw {
    random: Stream,
    /// What is drawn of PTP, so that it changes nothing else.
    ptp: Stream,
    /// Whether all messages are.
    authenticated: bool,
    /// References that may lie: a minority.
    liars: Vec<String>,
}

impl Draw {
    fn document(mut self) -> Document {
        let references = *[1, 1, 3, 3, 4, 5].choose(&mut self.random).unwrap_or(&1);
        let clients = self.below(3) + 1;
        let mut host: Vec<HostTable> = (0..references).map(|n| self.reference(n)).collect();
        let mut link = Vec::new();
        let switch = if self.happens(0.3) { vec![self.switch()] } else { Vec::new() };
        if references >= 3 {
            self.liars = (0..(references - 1) / 2).map(reference_name).collect();
        }
        for client in 0..clients {
            let mut table = self.client(client);
            // The first asks references; later ones ask a client before them, or references too.
            let chained = client > 0 && self.happens(0.4);
            let asked: Vec<String> =
                if chained { vec![client_name(client - 1)] } else { (0..references).map(reference_name).collect() };
            for name in asked {
                link.push(self.link(&table.name, &name, &switch));
                table.source.push(self.source(name));
            }
            host.push(table);
        }
        let mut document = Document {
            duration: spanned(seconds(DURATION_S)),
            settle: seconds(600),
            runs: 1,
            start: crate::scenario::document::usual_start(),
            leap_second: None,
            host,
            link,
            switch,
            fault: Vec::new(),
            limit: Vec::new(),
        };
        ptp::speak(&mut document, &self.liars, &mut self.ptp);
        for _ in 0..self.below(4) {
            let fault = self.fault(&document);
            document.fault.push(fault);
        }
        document
    }

    fn reference(&mut self, number: usize) -> HostTable {
        HostTable {
            kind: Written::Reference,
            root_dispersion: Length(Span::from_nanos(i128::from(self.random.random_range(0..1_000_000)))),
            nic: self.nic(),
            ..HostTable::named(&reference_name(number))
        }
    }

    fn client(&mut self, number: usize) -> HostTable {
        let preset = [OscillatorPreset::Crystal, OscillatorPreset::Tcxo, OscillatorPreset::Ocxo];
        HostTable {
            oscillator: Some(OscillatorTable {
                preset: preset.choose(&mut self.random).copied(),
                ..OscillatorTable::default()
            }),
            clock_offset: Length(Span::from_nanos(i128::from(
                self.random.random_range(-5_000_000_000_i64..5_000_000_000),
            ))),
            nic: self.nic(),
            ..HostTable::named(&client_name(number))
        }
    }

    fn nic(&mut self) -> Option<NicTable> {
        self.happens(0.5).then(|| NicTable {
            granularity: Length(Span::from_nanos(i128::from(self.random.random_range(0..1000)))),
            jitter: None,
            one_latch: self.happens(0.5),
            one_step: self.ptp.random(),
            lost: Probability(if self.happens(0.5) { 0.05 } else { 0.0 }),
            report_delay: Length(Span::from_nanos(i128::from(self.random.random_range(0..1_000_000)))),
            software_jitter: Some(self.exponential(1_000, 50_000)),
        })
    }

    fn source(&mut self, name: String) -> SourceTable {
        let min_poll = self.random.random_range(0..=MAX_POLL);
        let max_poll = self.random.random_range(min_poll..=MAX_POLL);
        SourceTable {
            mode: SourceMode::Client,
            by_name: self.happens(0.2),
            authenticated: self.authenticated,
            interleaved: self.happens(0.5),
            min_poll: Some(spanned(min_poll)),
            max_poll: Some(spanned(max_poll)),
            iburst: self.happens(0.7),
            asymmetry_limit: self
                .happens(0.3)
                .then_some(Length(Span::from_nanos(i128::from(MOST_ASYMMETRIC_NS)).half())),
            ..SourceTable::of(&name)
        }
    }

    fn link(&mut self, client: &Spanned<String>, other: &str, switches: &[SwitchTable]) -> LinkTable {
        let preset = [None, Some(LinkPreset::QuietLan), Some(LinkPreset::BusyLan), Some(LinkPreset::Wan)];
        let preset = preset.choose(&mut self.random).copied().flatten();
        let heavy = JitterTable {
            shape: Some(self.random.random_range(1.5..3.0)),
            scale: Some(Length(Span::from_nanos(i128::from(self.random.random_range(1_000..1_000_000))))),
            mean: None,
            ..self.exponential(1, 2)
        };
        let jitter = preset.is_none().then_some(JitterTable { kind: JitterKind::Pareto, ..heavy });
        let through = switches.iter().map(|switch| spanned(switch.name.get_ref().clone()));
        LinkTable {
            preset,
            delay: preset
                .is_none()
                .then(|| Length(Span::from_nanos(i128::from(self.random.random_range(5_000..5_000_000))))),
            asymmetry: Length(Span::from_nanos(i128::from(self.random.random_range(0..MOST_ASYMMETRIC_NS)))),
            jitter,
            loss: self.happens(0.3).then_some(Probability(0.05)),
            duplication: Probability(if self.happens(0.3) { 0.05 } else { 0.0 }),
            reordering: Probability(if self.happens(0.3) { 0.05 } else { 0.0 }),
            reordering_delay: Length(Span::from_nanos(2_000_000)),
            through: if self.happens(0.5) { through.collect() } else { Vec::new() },
            ..LinkTable::between(client.get_ref(), other)
        }
    }

    fn switch(&mut self) -> SwitchTable {
        SwitchTable {
            name: spanned("switch".into()),
            kind: if self.happens(0.5) { SwitchKind::Transparent } else { SwitchKind::Plain },
            delay: Length(Span::from_nanos(2_000)),
            jitter: Some(self.exponential(1_000, 100_000)),
            granularity: Length(Span::from_nanos(8)),
            frequency_offset_ppm: self.random.random_range(-50.0..50.0),
        }
    }

    fn fault(&mut self, document: &Document) -> FaultTable {
        let mut kinds = vec![
            FaultKindName::Unsynchronised,
            FaultKindName::Down,
            FaultKindName::LinkDown,
            FaultKindName::Delay,
            FaultKindName::Asymmetry,
            FaultKindName::Jitter,
            FaultKindName::CounterJump,
            FaultKindName::Suspend,
            FaultKindName::SetClock,
            FaultKindName::Restart,
        ];
        if !self.liars.is_empty() {
            kinds.extend([FaultKindName::LieStep, FaultKindName::LieRamp]);
        }
        let kind = kinds.choose(&mut self.random).copied().unwrap_or(FaultKindName::LinkDown);
        let hosts = |kind: Written| document.host.iter().filter(move |host| host.kind == kind);
        let mut pick = |names: Vec<String>| names.choose(&mut self.random).cloned().map(spanned);
        let host = match kind {
            FaultKindName::LieStep | FaultKindName::LieRamp => pick(self.liars.clone()),
            FaultKindName::Unsynchronised => {
                pick(hosts(Written::Reference).map(|host| host.name.get_ref().clone()).collect())
            }
            FaultKindName::CounterJump | FaultKindName::Suspend | FaultKindName::SetClock | FaultKindName::Restart => {
                pick(hosts(Written::Engine).map(|host| host.name.get_ref().clone()).collect())
            }
            FaultKindName::Down => pick(document.host.iter().map(|host| host.name.get_ref().clone()).collect()),
            _ => None,
        };
        let links: Vec<[String; 2]> = document.link.iter().map(|link| link.between.get_ref().clone()).collect();
        let between = if host.is_none() { links.choose(&mut self.random).cloned().map(spanned) } else { None };
        let at = self.random.random_range(FAULTS_FROM_S..FAULTS_UNTIL_S - 600);
        let by = match kind {
            FaultKindName::LieStep => self.signed(LIE_MS, 100_000),
            FaultKindName::Delay | FaultKindName::Asymmetry => {
                Span::from_nanos(i128::from(self.random.random_range(10_000..50_000_000)))
            }
            _ => self.signed(1, 10_000),
        };
        FaultTable {
            kind: spanned(kind),
            at: spanned(seconds(at)),
            duration: Some(seconds(self.random.random_range(1..600))),
            host,
            between,
            by: Some(Length(by)),
            ppm: Some(self.random.random_range(100.0..2000.0)),
            factor: Some(self.random.random_range(2.0..50.0)),
        }
    }

    fn exponential(&mut self, least_ns: i64, most_ns: i64) -> JitterTable {
        let mean = Span::from_nanos(i128::from(self.random.random_range(least_ns..most_ns)));
        let kind = JitterKind::Exponential;
        JitterTable { kind, mean: Some(Length(mean)), shape: None, scale: None, median: None, sigma: None }
    }

    /// Of either sign.
    fn signed(&mut self, least_ms: i64, most_ms: i64) -> Span {
        let span = Span::from_nanos(i128::from(self.random.random_range(least_ms..most_ms)) * 1_000_000);
        if self.happens(0.5) { span } else { -span }
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.random.random::<f64>() < probability
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.next_u32()).unwrap_or(0) % limit
    }
}

fn reference_name(number: usize) -> String {
    format!("reference{number}")
}

fn client_name(number: usize) -> String {
    format!("client{number}")
}

fn seconds(seconds: i64) -> Length {
    Length(Span::from_secs(seconds))
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
