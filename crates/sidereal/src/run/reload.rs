//! A new configuration for a running program: what can change does, what cannot is named.

use sidereal_engine::Event;
use sidereal_ntp::Policy;
use std::path::Path;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::engine_config::{Macs, engine_config};
use crate::leap::Leap;
use crate::policy::policy;
use crate::stamping::Stamping;

/// What a reload brings.
pub(super) struct Reload {
    /// For the workers.
    pub(super) policy: Policy,
    /// For the engine.
    pub(super) events: [Event<'static>; 2],
    /// For `status`.
    pub(super) leap: Leap,
}

/// Reads the file at `path` again and takes over into `running` what can change while it runs; `macs` are those of the ports
/// that run, `stamping` who stamps their packets. Where the file is no good,
/// nothing changes, and the log says why.
pub(super) fn reload(
    running: &mut Config,
    (macs, stamping): (&Macs, &Stamping),
    path: &Path,
    ticks_per_second: u64,
) -> Option<Reload> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            error!("nothing is changed, the configuration cannot be used:\n{error}");
            return None;
        }
    };
    let policy = match policy(&config, ticks_per_second) {
        Ok(policy) => policy,
        Err(error) => {
            error!("nothing is changed: {error}\n  help: {}", error.remedy());
            return None;
        }
    };
    let next = changed(running, &config);
    let engine = match engine_config(&next, &policy.keys, macs, stamping, None) {
        Ok(engine) => engine,
        Err(error) => {
            error!("nothing is changed: {error}\n  help: {}", error.remedy());
            return None;
        }
    };
    for key in needs_restart(running, &config) {
        warn!("`{key}` has changed and needs a restart: the old value stays");
    }
    let leap = Leap::load(config.clock.leap_seconds.as_path());
    leap.tell_problem();
    let events = [Event::Configuration(Box::new(engine)), Event::LeapTable(leap.table.clone())];
    *running = next;
    info!(configuration = %path.display(), "reloaded");
    Some(Reload { policy, events, leap })
}

/// What of `new` can be taken over, and the rest as it is `running`.
fn changed(running: &Config, new: &Config) -> Config {
    let mut next = running.clone();
    next.access.clone_from(&new.access);
    next.keys.clone_from(&new.keys);
    next.clock.clone_from(&new.clock);
    next.ntp_sources.clone_from(&new.ntp_sources);
    next.selection.clone_from(&new.selection);
    next.servo.clone_from(&new.servo);
    next.reference = new.reference;
    next.smear.clone_from(&new.smear);
    next.ntp_server.interleaved = new.ntp_server.interleaved;
    next.ntp_server.rate_limit.clone_from(&new.ntp_server.rate_limit);
    next
}

/// The keys that differ and cannot change in a running program.
fn needs_restart(running: &Config, new: &Config) -> Vec<&'static str> {
    let prefixes = |config: &Config| config.ntp_server.rate_limit.as_ref().map(|limit| limit.prefixes);
    [
        ("mode", running.mode != new.mode),
        ("port", running.ports != new.ports),
        ("workers", running.workers != new.workers),
        ("dpdk", running.dpdk != new.dpdk),
        ("ntp.over_ptp_domain", running.over_ptp_domain != new.over_ptp_domain),
        ("ntp.server.over_ptp", running.ntp_server.over_ptp != new.ntp_server.over_ptp),
        ("ntp.server.port", running.ntp_server.port != new.ntp_server.port),
        (
            "ntp.server.interleaved_clients",
            running.ntp_server.interleaved_clients != new.ntp_server.interleaved_clients,
        ),
        (
            "ntp.server.rate_limit.prefixes",
            prefixes(running).zip(prefixes(new)).is_some_and(|(running, new)| running != new),
        ),
        ("ntp.broadcast", running.ntp_broadcasts != new.ntp_broadcasts),
        ("reference_clock", running.reference_clocks != new.reference_clocks),
        ("ptp", running.ptp != new.ptp),
        ("ptp_clock", running.ptp_clocks != new.ptp_clocks),
        ("ops", running.ops != new.ops),
        ("state", running.state != new.state),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT;
    use sidereal_engine::Reference;

    const TICKS_PER_SECOND: u64 = 1_000_000_000;

    fn parsed(text: &str) -> Config {
        Config::parse(text, Path::new("F")).unwrap()
    }

    #[test]
    fn what_needs_a_restart_is_named_and_nothing_else() {
        let running = parsed(DEFAULT);
        assert_eq!(needs_restart(&running, &running), Vec::<&str>::new());
        for (from, to, keys) in [
            ("mode = \"appliance\"", "mode = \"single\"", vec!["mode"]),
            ("\"lan0\"", "\"lan1\"", vec!["port"]),
            ("idle = \"spin\"", "idle = \"yield\"", vec!["workers"]),
            ("memory_mib = 512", "memory_mib = 64", vec!["dpdk"]),
            ("port = 123", "port = 1123", vec!["ntp.server.port"]),
            ("= 262144", "= 1000", vec!["ntp.server.interleaved_clients"]),
            ("log = \"human\"", "log = \"json\"", vec!["ops"]),
            ("/var/lib/sidereal", "/var/lib/other", vec!["state"]),
            ("stratum = 1 ", "stratum = 2 ", vec![]),
            ("interleaved = true", "interleaved = false", vec![]),
        ] {
            assert!(DEFAULT.contains(from), "{from}");
            assert_eq!(needs_restart(&running, &parsed(&DEFAULT.replacen(from, to, 1))), keys, "{to}");
        }
        let bound = DEFAULT.replacen("# interface =", "interface =", 1);
        let with_ptp = format!("{bound}\n[[ptp]]\nname = 'a'\n[[ptp.port]]\nport = 'lan0'\n");
        assert_eq!(needs_restart(&parsed(&bound), &parsed(&with_ptp)), ["ptp"]);
    }

    #[test]
    fn a_good_file_is_taken_over_and_a_bad_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sidereal.toml");
        let state = format!("directory = \"{}/state\"", directory.path().display());
        let text = DEFAULT.replace("directory = \"/var/lib/sidereal\"", &state);
        let mut running = parsed(&text);
        std::fs::write(&path, text.replace("stratum = 1 ", "stratum = 3 ")).unwrap();
        let reloaded = reload(&mut running, (&Macs::new(), &Stamping::default()), &path, TICKS_PER_SECOND).unwrap();
        assert_eq!(running.clock.stratum.get(), 3);
        let [Event::Configuration(engine), Event::LeapTable(_)] = &reloaded.events else {
            panic!("{:?}", reloaded.events)
        };
        assert!(matches!(engine.reference, Reference::System(system) if system.stratum.number() == 3));

        std::fs::write(&path, text.replace("stratum = 1 ", "stratum = 30 ")).unwrap();
        assert!(reload(&mut running, (&Macs::new(), &Stamping::default()), &path, TICKS_PER_SECOND).is_none());
        let unkeepable = format!("{text}\n[ntp.server.rate_limit]\nrequests_per_second = 1000\n");
        std::fs::write(&path, unkeepable).unwrap();
        assert!(
            reload(&mut running, (&Macs::new(), &Stamping::default()), &path, 10).is_none(),
            "a counter of 10 Hz cannot tell 1000 requests apart"
        );
        assert_eq!(running.clock.stratum.get(), 3);
        assert!(reload(&mut running, (&Macs::new(), &Stamping::default()), &path, TICKS_PER_SECOND).is_some());
        assert!(running.ntp_server.rate_limit.is_some());
    }
}
