//! What both modes begin with.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::SnapshotReader;
use sidereal_ntp::Policy;

use super::board::Board;
use super::clock::ClockKeeper;
use super::state::StateFile;
use crate::command::Failure;
use crate::config::Config;
use crate::engine_config::{Macs, engine_config};
use crate::leap::Leap;
use crate::policy;
use crate::stamping::Stamping;

/// The engine, what it publishes, and what is known of the workers to come.
pub(super) struct Start {
    pub(super) keeper: ClockKeeper,
    pub(super) snapshot: SnapshotReader,
    pub(super) policy: Policy,
    pub(super) board: Board,
}

impl Start {
    /// Reads the files that `config` names and what was saved, and makes the engine. `macs` are those of its ports, `stamping` who
    /// stamps their packets.
    pub(super) fn new(
        counter: LocalCounter,
        config: &Config,
        (macs, stamping): (&Macs, &Stamping),
        hertz: u64,
        state: StateFile,
    ) -> Result<Self, Failure> {
        let leap = Leap::load(config.clock.leap_seconds.as_path());
        leap.tell_problem();
        let policy = policy::policy(config, hertz)?;
        let engine_config = engine_config(config, &policy.keys, macs, stamping, state.load())?;
        let (keeper, snapshot, view) =
            ClockKeeper::new(counter, (config, stamping), engine_config, leap.table.clone(), state)?;
        let board = Board::new(config, counter, snapshot.clone(), view, leap);
        Ok(Self { keeper, snapshot, policy, board })
    }
}
