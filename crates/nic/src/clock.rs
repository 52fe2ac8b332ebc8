//! The clock of a NIC, as its port shows it.

use sidereal_time::Ticks;

/// A NIC's clock: what its stamps count ([`crate::ClockAbilities`] says in what unit). Ports compose by direction, and this is one;
/// it is read by the thread that polls the port's first queue, because drivers do not expect anybody else there.
pub trait HardwareClock: Send {
    /// Where it stands, in the unit of the port's stamps, wrapped to its width; `None` where the port cannot say, for one
    /// because its device is away. Never waits, but may cost a few microseconds: a register across a bus.
    fn read(&mut self) -> Option<Ticks>;
}
