//! The clocks: does somebody else steer them?

use sidereal_phc::{Rival, Steers};

use super::{Machine, Report, Wrong};
use crate::config::{Config, Steer};

/// What we are called ourselves.
const OURSELVES: &str = "sidereal";

pub(super) fn check(machine: &Machine<'_>, config: Option<&Config>, runs_here: bool, report: &mut Report) {
    let wrong = match config {
        Some(config) => of_configuration(machine, config, runs_here),
        None => of_any_host(machine),
    };
    match config.and_then(|config| unseen(machine, config, runs_here)) {
        Some(why) if wrong.is_empty() => report.unchecked("rivals", why),
        _ => report.checked("rivals", wrong),
    }
}

/// Whether somebody may have a clock open that the configuration steers, without our seeing it.
fn unseen(machine: &Machine<'_>, config: &Config, runs_here: bool) -> Option<String> {
    let clock = config.ptp_clocks.iter().find(|clock| clock.steer == Steer::On)?;
    let rivals = others(machine.system.rivals(Steers::Ptp), runs_here);
    let names: Vec<String> = rivals.iter().map(ToString::to_string).collect();
    let is_unseen = !rivals.is_empty() && !machine.system.sees_open_files();
    is_unseen.then(|| format!("only root sees whether {} has {} open", names.join(" or "), clock.device))
}

/// Others on the clocks that the configuration steers.
fn of_configuration(machine: &Machine<'_>, config: &Config, runs_here: bool) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if config.clock.steer == Steer::On {
        let rivals = others(machine.system.rivals(Steers::System), runs_here);
        wrong.extend(rivals.iter().map(|rival| on(rival, "the system clock")));
    }
    for clock in config.ptp_clocks.iter().filter(|clock| clock.steer == Steer::On) {
        let rivals = others(machine.system.rivals(Steers::Ptp), runs_here);
        let holders = machine.system.holders(clock.device.as_path());
        let holders = holders.iter().filter(|holder| rivals.iter().any(|rival| rival.pid == holder.pid));
        wrong.extend(holders.map(|rival| on(rival, &clock.device.to_string())));
    }
    wrong
}

/// Several on the system clock of a host that we know nothing of.
fn of_any_host(machine: &Machine<'_>) -> Vec<Wrong> {
    let found = machine.system.rivals(Steers::System);
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    let several = (found.len() > 1).then(|| {
        Wrong::new(
            format!("several daemons may steer the system clock: {}", names.join(", ")),
            "each takes the others' corrections for errors of the clock, and it swings",
            "systemctl disable --now NAME    # all but one of them",
        )
    });
    several.into_iter().collect()
}

/// All but the one sidereal that runs with this configuration.
fn others(rivals: Vec<Rival>, runs_here: bool) -> Vec<Rival> {
    let mut own = usize::from(runs_here);
    let mut is_other = |rival: &Rival| {
        if rival.name == OURSELVES && own > 0 {
            own -= 1;
            return false;
        }
        true
    };
    rivals.into_iter().filter(|rival| is_other(rival)).collect()
}

fn on(rival: &Rival, clock: &str) -> Wrong {
    Wrong::new(
        format!("{rival} may steer {clock}, which sidereal is to steer"),
        "each takes the other's corrections for errors of the clock, and it swings",
        format!("systemctl disable --now {}    # or write `steer = \"off\"` for this clock", service(&rival.name)),
    )
}

/// The service by which systemd knows a daemon: the kernel keeps fifteen letters of its name.
fn service(name: &str) -> &str {
    if name == "systemd-timesyn" { "systemd-timesyncd" } else { name }
}
