//! The state machines of a PTP Port (IEEE 1588-2019 9.2.5).

use crate::data_sets::{PortState, Roles};

/// What changes the state of a port (IEEE 1588-2019 9.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortEvent {
    /// POWERUP: it begins.
    PowerUp,
    /// INITIALIZE: it begins anew.
    Initialize,
    /// What INITIALIZING does is done; the standard draws it without a name.
    Initialized,
    /// FAULT_DETECTED.
    FaultDetected,
    /// FAULT_CLEARED.
    FaultCleared,
    /// DESIGNATED_ENABLED.
    DesignatedEnabled,
    /// DESIGNATED_DISABLED.
    DesignatedDisabled,
    /// STATE_DECISION_EVENT, recommended state BMC_MASTER.
    RecommendedMaster,
    /// STATE_DECISION_EVENT, recommended state BMC_PASSIVE.
    RecommendedPassive,
    /// STATE_DECISION_EVENT, recommended state BMC_SLAVE.
    RecommendedSlave {
        /// Whether it is another master than the one followed so far.
        new_master: bool,
    },
    /// ANNOUNCE_RECEIPT_TIMEOUT_EXPIRES: nobody announces itself any longer.
    AnnounceReceiptTimeout,
    /// QUALIFICATION_TIMEOUT_EXPIRES: nobody better was heard of while waiting.
    QualificationTimeout,
    /// MASTER_CLOCK_SELECTED: the clock has the master's time.
    MasterClockSelected,
    /// SYNCHRONIZATION_FAULT: it has lost it.
    SynchronizationFault,
}

/// The state of a port after `event` in `state`: by Figure 30, or, where it never leads, by Figure 31 (IEEE 1588-2019 9.2.5).
/// One that never follows stays where it is when following is recommended (9.2.2.2). An event that the figures do not know in
/// a state leaves it.
#[must_use]
pub const fn fsm(state: PortState, event: PortEvent, roles: Roles) -> PortState {
    use PortState as S;
    match (state, event) {
        (_, PortEvent::PowerUp | PortEvent::Initialize) => S::Initializing,
        // A port that was disabled stays so whatever breaks: clearing the fault would enable it.
        (S::Disabled, PortEvent::DesignatedEnabled) => S::Initializing,
        (S::Disabled, _) => S::Disabled,
        (_, PortEvent::DesignatedDisabled) => S::Disabled,
        (_, PortEvent::FaultDetected) => S::Faulty,
        (S::Faulty, PortEvent::FaultCleared) => S::Initializing,
        (S::Initializing, PortEvent::Initialized) => S::Listening,
        (S::Faulty | S::Initializing, _) => state,
        _ => match roles {
            Roles::SlaveOnly => follow(state, event),
            Roles::Both | Roles::MasterOnly => lead_or_follow(state, event, roles),
        },
    }
}

/// The part of Figure 30 that the best master clock algorithm drives.
const fn lead_or_follow(state: PortState, event: PortEvent, roles: Roles) -> PortState {
    use PortState as S;
    match (state, event) {
        (S::Master | S::PreMaster, PortEvent::RecommendedMaster) => state,
        (_, PortEvent::RecommendedMaster) => S::PreMaster,
        (S::PreMaster, PortEvent::QualificationTimeout) => S::Master,
        (S::Listening | S::Passive | S::Uncalibrated | S::Slave, PortEvent::AnnounceReceiptTimeout) => S::Master,
        _ if matches!(roles, Roles::MasterOnly) => state,
        (_, PortEvent::RecommendedPassive) => S::Passive,
        _ => synchronize(state, event),
    }
}

/// Figure 31, and what it says of states that only Figure 30 knows: they are left as soon as the algorithm has its say. So a
/// port may lose the right to lead while it does.
const fn follow(state: PortState, event: PortEvent) -> PortState {
    match event {
        PortEvent::RecommendedMaster | PortEvent::RecommendedPassive | PortEvent::AnnounceReceiptTimeout => {
            PortState::Listening
        }
        _ => synchronize(state, event),
    }
}

/// What both figures have of following a master.
const fn synchronize(state: PortState, event: PortEvent) -> PortState {
    use PortState as S;
    match (state, event) {
        (S::Slave, PortEvent::RecommendedSlave { new_master: false }) => S::Slave,
        (_, PortEvent::RecommendedSlave { .. }) | (S::Slave, PortEvent::SynchronizationFault) => S::Uncalibrated,
        (S::Uncalibrated, PortEvent::MasterClockSelected) => S::Slave,
        _ => state,
    }
}

#[cfg(test)]
mod tests;
