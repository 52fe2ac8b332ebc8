//! What management messages of this host change, and have done (IEEE 1588-2019 15.5.3).

use super::{Context, Instance, MAX_USER_DESCRIPTION};
use crate::management::{Data, ManagementError, ManagementId, ManagementTlv};
use crate::options::{MAX_LOG_INTERVAL, MIN_LOG_INTERVAL};

/// The fewest Announce intervals without an Announce that may lose a master (8.2.15.4.2).
const MIN_ANNOUNCE_RECEIPT_TIMEOUT: u8 = 2;
/// initializationKey of INITIALIZE_EVENT (table 61).
const INITIALIZE_EVENT: u16 = 0;

impl Instance {
    /// Changes what can be changed while the instance runs; it holds until the instance is made anew.
    pub(super) fn set(&mut self, asked: ManagementTlv<'_>) -> Result<(), ManagementError> {
        let data = Data::parse(asked.id, asked.data)?;
        let options = &mut self.options;
        match (asked.id, data) {
            (ManagementId::NULL_MANAGEMENT, Data::Nothing) => {}
            (ManagementId::USER_DESCRIPTION, Data::UserDescription(text)) => {
                let text = core::str::from_utf8(text.as_bytes()).map_err(|_| ManagementError::WrongValue)?;
                if text.len() > usize::from(MAX_USER_DESCRIPTION) {
                    return Err(ManagementError::WrongLength);
                }
                options.user_description = text.into();
            }
            (ManagementId::PRIORITY1, Data::Number(priority)) => options.priority1 = priority,
            (ManagementId::PRIORITY2, Data::Number(priority)) => options.priority2 = priority,
            (ManagementId::SLAVE_ONLY, Data::Flag(is)) => {
                options.slave_only = unless(is && options.port.master_only, is)?;
            }
            (ManagementId::MASTER_ONLY, Data::Flag(is)) => {
                options.port.master_only = unless(is && options.slave_only, is)?;
            }
            (ManagementId::PATH_TRACE_ENABLE, Data::Flag(is)) => options.path_trace = is,
            (ManagementId::ANNOUNCE_RECEIPT_TIMEOUT, Data::Number(intervals)) => {
                options.port.announce_receipt_timeout = unless(intervals < MIN_ANNOUNCE_RECEIPT_TIMEOUT, intervals)?;
            }
            (ManagementId::LOG_ANNOUNCE_INTERVAL, Data::LogInterval(exponent)) => {
                options.port.log_announce_interval = log_interval(exponent)?;
            }
            (ManagementId::LOG_SYNC_INTERVAL, Data::LogInterval(exponent)) => {
                options.port.log_sync_interval = log_interval(exponent)?;
            }
            (ManagementId::LOG_MIN_PDELAY_REQ_INTERVAL, Data::LogInterval(exponent)) => {
                options.port.log_min_pdelay_req_interval = log_interval(exponent)?;
            }
            _ => return Err(ManagementError::NotSetable),
        }
        Ok(())
    }

    /// Does what it is told to; the data is that of the acknowledgement.
    pub(super) fn command<'a>(
        &mut self,
        asked: ManagementTlv<'a>,
        context: &mut Context<'_>,
    ) -> Result<Data<'a>, ManagementError> {
        let data = Data::parse(asked.id, asked.data)?;
        match (asked.id, data) {
            (ManagementId::NULL_MANAGEMENT, _) => {}
            (ManagementId::INITIALIZE, Data::Initialize(INITIALIZE_EVENT)) => self.counter_reset(self.now, context),
            (ManagementId::INITIALIZE, _) => return Err(ManagementError::WrongValue),
            (ManagementId::ENABLE_PORT, _) => self.enable(true, context),
            (ManagementId::DISABLE_PORT, _) => self.enable(false, context),
            _ => return Err(ManagementError::NotSupported),
        }
        Ok(data)
    }
}

/// `value`, unless it is `wrong`.
const fn unless<T: Copy>(wrong: bool, value: T) -> Result<T, ManagementError> {
    if wrong { Err(ManagementError::WrongValue) } else { Ok(value) }
}

fn log_interval(exponent: i8) -> Result<i8, ManagementError> {
    unless(!(MIN_LOG_INTERVAL..=MAX_LOG_INTERVAL).contains(&exponent), exponent)
}
