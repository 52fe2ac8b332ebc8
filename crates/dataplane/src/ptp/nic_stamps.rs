//! Whether a port's NIC stamps event messages.

/// So many event messages in a row without a stamp say that the NIC stamps none, whatever its driver claims.
const SILENT_AFTER: u8 = 16;

/// What is believed of a port's NIC: where it stamps event messages, one without a stamp has no time of arrival. Another clock is not
/// put in the place of the NIC's, as the two differ by what the NIC, the bus and the worker take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NicStamps {
    expected: bool,
    /// Event messages in a row that had none.
    without: u8,
}

impl NicStamps {
    /// As the port claims, until its messages tell.
    pub(crate) const fn claimed(claimed: bool) -> Self {
        Self { expected: claimed, without: 0 }
    }

    /// Whether an event message should have a stamp.
    pub(crate) const fn are_expected(self) -> bool {
        self.expected
    }

    /// An event message has come, with a stamp of the NIC or without.
    pub(crate) const fn note(&mut self, stamped: bool) {
        if stamped {
            *self = Self::claimed(true);
        } else {
            self.without = self.without.saturating_add(1);
            self.expected &= self.without < SILENT_AFTER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nic_that_never_stamps_is_not_waited_for() {
        let mut stamps = NicStamps::claimed(true);
        for _ in 1..SILENT_AFTER {
            stamps.note(false);
            assert!(stamps.are_expected());
        }
        stamps.note(false);
        assert!(!stamps.are_expected());
        stamps.note(true);
        assert!(stamps.are_expected(), "it does after all");
    }

    #[test]
    fn a_lost_stamp_now_and_then_changes_nothing() {
        let mut stamps = NicStamps::claimed(true);
        for message in 0..1000 {
            stamps.note(message % usize::from(SILENT_AFTER) == 0);
            assert!(stamps.are_expected());
        }
    }
}
