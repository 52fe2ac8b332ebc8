//! Whom a port may follow: the acceptable master table (IEEE 1588-2019 17.5).

use crate::identity::PortIdentity;
use crate::message::Announce;

/// A master that may be followed (acceptableMaster, IEEE 1588-2019 17.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptableMaster {
    /// acceptablePortIdentity; with port number 0xFFFF, every port of that clock.
    pub port: PortIdentity,
    /// alternatePriority1: what its grandmasterPriority1 is taken for; 0 leaves it as it is.
    pub alternate_priority1: u8,
}

/// Who may be followed: those of a table, or, where there is none, everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptableMasters(Vec<AcceptableMaster>);

/// The port number that stands for all.
const ALL_PORTS: u16 = 0xffff;

impl AcceptableMasters {
    /// Those in `table`, whose first entry for a port counts; where it is empty, everybody.
    #[must_use]
    pub const fn new(table: Vec<AcceptableMaster>) -> Self {
        Self(table)
    }

    /// `announce` of the port `source` as it is to be judged, its priority1 replaced where the table says so; `None` where
    /// that port may not be followed.
    #[must_use]
    pub fn accept(&self, source: PortIdentity, announce: &Announce) -> Option<Announce> {
        if self.0.is_empty() {
            return Some(*announce);
        }
        let entry = self.0.iter().find(|entry| entry.covers(source))?;
        let priority1 = match entry.alternate_priority1 {
            0 => announce.priority1,
            alternate => alternate,
        };
        Some(Announce { priority1, ..*announce })
    }
}

impl AcceptableMaster {
    fn covers(&self, source: PortIdentity) -> bool {
        self.port.clock == source.clock
            && matches!(self.port.number, number if number == ALL_PORTS || number == source.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ClockIdentity;
    use crate::message::{ClockAccuracy, ClockClass, ClockQuality, TimeSource, Timestamp};

    const ANNOUNCE: Announce = Announce {
        origin_timestamp: Timestamp([0; 10]),
        current_utc_offset: 37,
        priority1: 100,
        clock_quality: ClockQuality {
            clock_class: ClockClass::PRIMARY_REFERENCE,
            clock_accuracy: ClockAccuracy::WITHIN_100_NS,
            offset_scaled_log_variance: 0x4e5d,
        },
        priority2: 128,
        grandmaster_identity: ClockIdentity([9; 8]),
        steps_removed: 0,
        time_source: TimeSource::GNSS,
    };

    fn port(clock: u8, number: u16) -> PortIdentity {
        PortIdentity { clock: ClockIdentity([clock; 8]), number }
    }

    #[test]
    fn without_a_table_everybody_is_acceptable() {
        assert_eq!(AcceptableMasters::default().accept(port(1, 1), &ANNOUNCE), Some(ANNOUNCE));
        assert_eq!(AcceptableMasters::new(vec![]), AcceptableMasters::default());
    }

    #[test]
    fn with_a_table_those_in_it_are_and_with_its_priority() {
        let entry = |port, alternate_priority1| AcceptableMaster { port, alternate_priority1 };
        let masters = AcceptableMasters::new(vec![
            entry(port(1, 2), 7),
            entry(port(2, ALL_PORTS), 0),
            entry(port(3, ALL_PORTS), 255),
            entry(port(3, 1), 1),
        ]);
        let priority1 = |source| masters.accept(source, &ANNOUNCE).map(|announce| announce.priority1);
        assert_eq!(priority1(port(1, 2)), Some(7));
        assert_eq!(priority1(port(1, 1)), None);
        assert_eq!(priority1(port(2, 1)), Some(100));
        assert_eq!(priority1(port(2, 9)), Some(100));
        assert_eq!(priority1(port(3, 1)), Some(255));
        // Not who the grandmaster is, but who sends the Announce.
        assert_eq!(priority1(port(9, 1)), None);
        assert_eq!(masters.accept(port(1, 2), &ANNOUNCE), Some(Announce { priority1: 7, ..ANNOUNCE }));
    }
}
