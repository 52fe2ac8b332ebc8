//! Names, links and switches.

use std::collections::BTreeMap;

use sidereal_time::Span;
use toml::Spanned;

use super::super::LinkOptions;
use super::super::document::{Document, JitterKind, JitterTable, LinkPreset, LinkTable, SwitchKind, SwitchTable};
use super::super::values::{Invalid, Length};
use super::Problems;
use crate::link::presets::Preset;
use crate::link::{DirectionOptions, Jitter};
use crate::switch::{Residence, SwitchOptions};

/// What names stand for: the numbers of hosts, switches and links.
pub(super) struct Names {
    hosts: BTreeMap<String, usize>,
    switches: BTreeMap<String, usize>,
    links: BTreeMap<[usize; 2], usize>,
}

impl Names {
    /// Those of `document`.
    pub(super) fn of(document: &Document, problems: &mut Problems) -> Self {
        let mut hosts = BTreeMap::new();
        let mut switches = BTreeMap::new();
        let mut links = BTreeMap::new();
        let mut add = |names: &mut BTreeMap<String, usize>, name: &Spanned<String>, number: usize| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.get_ref().is_empty() || !name.get_ref().chars().all(legal) {
                let what = format!("{:?} is not a name", name.get_ref());
                problems.push((Some(name.span()), Invalid::new(what, "use letters, digits, `-`, `_` and `.`")));
            } else if names.insert(name.get_ref().clone(), number).is_some() {
                let what = format!("{:?} is already the name of another one", name.get_ref());
                problems.push((Some(name.span()), Invalid::new(what, "choose another name")));
            }
        };
        for (number, host) in document.host.iter().enumerate() {
            add(&mut hosts, &host.name, number);
        }
        for (number, switch) in document.switch.iter().enumerate() {
            add(&mut switches, &switch.name, number);
        }
        for (number, link) in document.link.iter().enumerate() {
            let ends = link.between.get_ref().each_ref().map(|name| hosts.get(name).copied());
            if let [Some(a), Some(b)] = ends
                && links.insert([a.min(b), a.max(b)], number).is_some()
            {
                let [a, b] = link.between.get_ref();
                let what = format!("{a:?} and {b:?} have a link already");
                problems.push((Some(link.between.span()), Invalid::new(what, "keep one of them")));
            }
        }
        Self { hosts, switches, links }
    }

    /// The number of a host.
    pub(super) fn host(&self, name: &Spanned<String>, problems: &mut Problems) -> Option<usize> {
        find(&self.hosts, name.get_ref(), name.span(), "host", problems)
    }

    /// The numbers of two hosts; they are not the same.
    pub(super) fn pair(&self, names: &Spanned<[String; 2]>, problems: &mut Problems) -> Option<[usize; 2]> {
        let [a, b] = names.get_ref().each_ref().map(|name| find(&self.hosts, name, names.span(), "host", problems));
        let pair = [a?, b?];
        if pair[0] == pair[1] {
            let what = format!("{:?} has no link to itself", names.get_ref()[0]);
            problems.push((Some(names.span()), Invalid::new(what, "name two hosts")));
            return None;
        }
        Some(pair)
    }

    /// The number of the link between two hosts.
    pub(super) fn link(&self, names: &Spanned<[String; 2]>, problems: &mut Problems) -> Option<usize> {
        let [a, b] = self.pair(names, problems)?;
        let link = self.links.get(&[a.min(b), a.max(b)]).copied();
        if link.is_none() {
            let [a, b] = names.get_ref();
            let what = format!("there is no link between {a:?} and {b:?}");
            problems.push((Some(names.span()), Invalid::new(what, "name the two hosts of a [[link]]")));
        }
        link
    }
}

fn find(
    names: &BTreeMap<String, usize>,
    name: &str,
    span: core::ops::Range<usize>,
    what: &str,
    problems: &mut Problems,
) -> Option<usize> {
    let found = names.get(name).copied();
    if found.is_none() {
        let known: Vec<&str> = names.keys().map(String::as_str).collect();
        let remedy = if known.is_empty() {
            format!("add a [[{what}]] of that name")
        } else {
            format!("there are: {}", known.join(", "))
        };
        problems.push((Some(span), Invalid::new(format!("no {what} is called {name:?}"), remedy)));
    }
    found
}

/// The switches of `document`.
pub(super) fn switches(document: &Document, problems: &mut Problems) -> Vec<SwitchOptions> {
    let options = |switch: &SwitchTable, problems: &mut Problems| SwitchOptions {
        name: switch.name.get_ref().clone(),
        delay: not_negative(switch.delay, switch.name.span(), problems),
        jitter: jitter(switch.jitter.as_ref(), switch.name.span(), problems),
        transparent: match switch.kind {
            SwitchKind::Plain => None,
            SwitchKind::Transparent => Some(Residence {
                granularity: not_negative(switch.granularity, switch.name.span(), problems),
                frequency_offset: switch.frequency_offset_ppm * 1e-6,
            }),
        },
    };
    document.switch.iter().map(|switch| options(switch, problems)).collect()
}

/// The links of `document`; those with unknown hosts are left out, and complained about.
pub(super) fn links(document: &Document, names: &Names, problems: &mut Problems) -> Vec<LinkOptions> {
    document.link.iter().filter_map(|table| link(table, names, problems)).collect()
}

fn link(table: &LinkTable, names: &Names, problems: &mut Problems) -> Option<LinkOptions> {
    let span = table.between.span();
    let between = names.pair(&table.between, problems);
    let preset = table.preset.map_or_else(DirectionOptions::default, |preset| preset_of(preset).options());
    let there_jitter = table.jitter.as_ref().map_or(preset.jitter, |table| jitter(Some(table), span.clone(), problems));
    let back_jitter =
        table.jitter_back.as_ref().map_or(there_jitter, |table| jitter(Some(table), span.clone(), problems));
    let delay = table.delay.map_or(preset.delay, |delay| not_negative(delay, span.clone(), problems));
    let longer = |by: Span| if by.is_negative() { Span::ZERO } else { by };
    let back = DirectionOptions {
        delay: delay + longer(-table.asymmetry.0),
        jitter: back_jitter,
        loss: table.loss.map_or(preset.loss, |loss| loss.0),
        duplication: table.duplication.0,
        reordering: table.reordering.0,
        reordering_delay: not_negative(table.reordering_delay, span.clone(), problems),
    };
    let there = DirectionOptions { delay: delay + longer(table.asymmetry.0), jitter: there_jitter, ..back };
    let through = table.through.iter();
    let through =
        through.filter_map(|name| find(&names.switches, name.get_ref(), name.span(), "switch", problems)).collect();
    Some(LinkOptions { between: between?, there, back, through })
}

const fn preset_of(preset: LinkPreset) -> Preset {
    match preset {
        LinkPreset::QuietLan => Preset::QuietLan,
        LinkPreset::BusyLan => Preset::BusyLan,
        LinkPreset::Wan => Preset::Wan,
    }
}

/// A distribution of waits; `span` is where complaints about it point.
pub(super) fn jitter(table: Option<&JitterTable>, span: core::ops::Range<usize>, problems: &mut Problems) -> Jitter {
    let Some(table) = table else { return Jitter::None };
    let mut length = |value: Option<Length>, name: &str| match value {
        Some(Length(value)) if value > Span::ZERO => value,
        _ => {
            let what = format!("a jitter of kind {:?} needs a `{name}` above zero", table.kind);
            problems.push((Some(span.clone()), Invalid::new(what, format!("add `{name} = \"10us\"` to it"))));
            Span::ZERO
        }
    };
    let lengths = match table.kind {
        JitterKind::None => Span::ZERO,
        JitterKind::Exponential | JitterKind::Gamma => length(table.mean, "mean"),
        JitterKind::Weibull | JitterKind::Pareto => length(table.scale, "scale"),
        JitterKind::LogNormal => length(table.median, "median"),
    };
    let mut number = |value: Option<f64>, name: &str| match value {
        Some(value) if value.is_finite() && value > 0.0 => value,
        _ => {
            let what = format!("a jitter of kind {:?} needs a `{name}` above zero", table.kind);
            problems.push((Some(span.clone()), Invalid::new(what, format!("add `{name} = 1.5` to it"))));
            1.0
        }
    };
    match table.kind {
        JitterKind::None => Jitter::None,
        JitterKind::Exponential => Jitter::Exponential { mean: lengths },
        JitterKind::Gamma => Jitter::Gamma { mean: lengths, shape: number(table.shape, "shape") },
        JitterKind::Weibull => Jitter::Weibull { scale: lengths, shape: number(table.shape, "shape") },
        JitterKind::LogNormal => Jitter::LogNormal { median: lengths, sigma: number(table.sigma, "sigma") },
        JitterKind::Pareto => Jitter::Pareto { scale: lengths, shape: number(table.shape, "shape") },
    }
}

/// A length that cannot be below zero; `span` is where a complaint points.
pub(super) fn not_negative(length: Length, span: core::ops::Range<usize>, problems: &mut Problems) -> Span {
    if length.0.is_negative() {
        problems.push((
            Some(span),
            Invalid::new(format!("{length} is less than nothing"), "write a length without a sign"),
        ));
    }
    length.0.abs()
}
