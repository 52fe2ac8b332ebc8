//! PTP's own format of time.

use crate::{Instant, Tai};

const NANOS_PER_S: i128 = 1_000_000_000;
/// The seconds field has 48 bits.
const SECONDS_END: u64 = 1 << 48;

/// PTP timestamp: 48 bits of seconds and 32 bits of nanoseconds since the PTP epoch (IEEE 1588-2019 5.3.3); the nanoseconds
/// are always below 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PtpTimestamp {
    seconds: u64,
    nanoseconds: u32,
}

/// Why ten bytes or an instant are not a PTP timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PtpTimestampError {
    /// The nanoseconds reach a whole second.
    #[error("nanoseconds field is {0}, not below 10^9")]
    Nanoseconds(u32),
    /// The instant lies before the epoch or after 48 bits of seconds.
    #[error("instant {0} is outside the range of a PTP timestamp")]
    Range(Instant<Tai>),
}

impl PtpTimestamp {
    /// The timestamp `seconds` and `nanoseconds` after the epoch.
    ///
    /// # Errors
    /// Where the nanoseconds reach a whole second, or the seconds need more than 48 bits.
    pub const fn new(seconds: u64, nanoseconds: u32) -> Result<Self, PtpTimestampError> {
        if nanoseconds as i128 >= NANOS_PER_S {
            return Err(PtpTimestampError::Nanoseconds(nanoseconds));
        }
        let timestamp = Self { seconds, nanoseconds };
        if seconds >= SECONDS_END { Err(PtpTimestampError::Range(timestamp.to_tai())) } else { Ok(timestamp) }
    }

    /// The timestamp with these ten bytes of a message, in network order.
    ///
    /// # Errors
    /// Where the nanoseconds reach a whole second.
    pub const fn from_be_bytes(bytes: [u8; 10]) -> Result<Self, PtpTimestampError> {
        let [s0, s1, s2, s3, s4, s5, nanoseconds @ ..] = bytes;
        Self::new(u64::from_be_bytes([0, 0, s0, s1, s2, s3, s4, s5]), u32::from_be_bytes(nanoseconds))
    }

    /// The ten bytes of a message, in network order.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 10] {
        // Eighty bits as two words, the way that a processor writes them.
        let [_, _, low @ ..] = self.nanoseconds.to_be_bytes();
        let head = (self.seconds << 16 | (self.nanoseconds >> 16) as u64).to_be_bytes();
        let mut bytes = [0; 10];
        let (first, last) = bytes.split_at_mut(8);
        first.copy_from_slice(&head);
        last.copy_from_slice(&low);
        bytes
    }

    /// Whole seconds since the epoch, below 2^48.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// Nanoseconds since the second began, below 10^9.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// `instant`, rounded to nearest (half up). What rounding leaves over belongs into the message's correctionField.
    ///
    /// # Errors
    /// Where the rounded instant lies before the epoch, or its seconds need more than 48 bits.
    pub const fn from_tai(instant: Instant<Tai>) -> Result<Self, PtpTimestampError> {
        let nanos = instant.as_nanos_rounded();
        if nanos < 0 || nanos >= SECONDS_END as i128 * NANOS_PER_S {
            return Err(PtpTimestampError::Range(instant));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "all are in range, as just checked"
        )]
        // Until the year 2554 the nanoseconds have 64 bits, and dividing those takes a multiplication.
        let (seconds, nanoseconds) = if nanos <= u64::MAX as i128 {
            (nanos as u64 / NANOS_PER_S as u64, (nanos as u64 % NANOS_PER_S as u64) as u32)
        } else {
            ((nanos / NANOS_PER_S) as u64, (nanos % NANOS_PER_S) as u32)
        };
        Ok(Self { seconds, nanoseconds })
    }

    /// The instant it tells, exactly.
    #[must_use]
    pub const fn to_tai(self) -> Instant<Tai> {
        Instant::from_nanos(self.seconds as i128 * NANOS_PER_S + self.nanoseconds as i128)
    }
}
