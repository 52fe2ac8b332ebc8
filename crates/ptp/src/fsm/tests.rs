use super::*;
use PortState::{
    Disabled as D, Faulty as F, Initializing as I, Listening as L, Master as M, Passive as P, PreMaster as Q,
    Slave as S, Uncalibrated as U,
};

/// The columns of the tables below.
const EVENTS: [PortEvent; 15] = [
    PortEvent::PowerUp,
    PortEvent::Initialize,
    PortEvent::Initialized,
    PortEvent::FaultDetected,
    PortEvent::FaultCleared,
    PortEvent::DesignatedEnabled,
    PortEvent::DesignatedDisabled,
    PortEvent::RecommendedMaster,
    PortEvent::RecommendedPassive,
    PortEvent::RecommendedSlave { new_master: false },
    PortEvent::RecommendedSlave { new_master: true },
    PortEvent::AnnounceReceiptTimeout,
    PortEvent::QualificationTimeout,
    PortEvent::MasterClockSelected,
    PortEvent::SynchronizationFault,
];

/// A row for each state: what comes of each event.
type Table = [(PortState, [PortState; EVENTS.len()]); PortState::ALL.len()];

/// Figure 30.
const FULL: Table = [
    (I, [I, I, L, F, I, I, D, I, I, I, I, I, I, I, I]),
    (F, [I, I, F, F, I, F, D, F, F, F, F, F, F, F, F]),
    (D, [I, I, D, D, D, I, D, D, D, D, D, D, D, D, D]),
    (L, [I, I, L, F, L, L, D, Q, P, U, U, M, L, L, L]),
    (Q, [I, I, Q, F, Q, Q, D, Q, P, U, U, Q, M, Q, Q]),
    (M, [I, I, M, F, M, M, D, M, P, U, U, M, M, M, M]),
    (P, [I, I, P, F, P, P, D, Q, P, U, U, M, P, P, P]),
    (U, [I, I, U, F, U, U, D, Q, P, U, U, M, U, S, U]),
    (S, [I, I, S, F, S, S, D, Q, P, S, U, M, S, S, U]),
];

/// Figure 31; the rows of PRE_MASTER, MASTER and PASSIVE are for a port that has just lost the right to lead.
const SLAVE_ONLY: Table = [
    (I, [I, I, L, F, I, I, D, I, I, I, I, I, I, I, I]),
    (F, [I, I, F, F, I, F, D, F, F, F, F, F, F, F, F]),
    (D, [I, I, D, D, D, I, D, D, D, D, D, D, D, D, D]),
    (L, [I, I, L, F, L, L, D, L, L, U, U, L, L, L, L]),
    (Q, [I, I, Q, F, Q, Q, D, L, L, U, U, L, Q, Q, Q]),
    (M, [I, I, M, F, M, M, D, L, L, U, U, L, M, M, M]),
    (P, [I, I, P, F, P, P, D, L, L, U, U, L, P, P, P]),
    (U, [I, I, U, F, U, U, D, L, L, U, U, L, U, S, U]),
    (S, [I, I, S, F, S, S, D, L, L, S, U, L, S, S, U]),
];

/// Figure 30 without following (9.2.2.2); the last three rows are for a port that has just lost the right to follow.
const MASTER_ONLY: Table = [
    (I, [I, I, L, F, I, I, D, I, I, I, I, I, I, I, I]),
    (F, [I, I, F, F, I, F, D, F, F, F, F, F, F, F, F]),
    (D, [I, I, D, D, D, I, D, D, D, D, D, D, D, D, D]),
    (L, [I, I, L, F, L, L, D, Q, L, L, L, M, L, L, L]),
    (Q, [I, I, Q, F, Q, Q, D, Q, Q, Q, Q, Q, M, Q, Q]),
    (M, [I, I, M, F, M, M, D, M, M, M, M, M, M, M, M]),
    (P, [I, I, P, F, P, P, D, Q, P, P, P, M, P, P, P]),
    (U, [I, I, U, F, U, U, D, Q, U, U, U, M, U, U, U]),
    (S, [I, I, S, F, S, S, D, Q, S, S, S, M, S, S, S]),
];

#[test]
fn every_event_in_every_state_does_what_the_figures_say() {
    for (roles, table) in [(Roles::Both, FULL), (Roles::SlaveOnly, SLAVE_ONLY), (Roles::MasterOnly, MASTER_ONLY)] {
        assert_eq!(table.map(|(state, _)| state), PortState::ALL);
        for (state, row) in table {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                assert_eq!(fsm(state, event, roles), expected, "{roles:?}, {event:?} in {}", state.name());
            }
        }
    }
}

/// Whatever happens, a port gets only into states of its roles when it begins in them.
#[test]
fn roles_are_kept() {
    for (roles, forbidden) in
        [(Roles::SlaveOnly, [Q, M, P].as_slice()), (Roles::MasterOnly, [P, U, S].as_slice()), (Roles::Both, &[])]
    {
        let mut reached = vec![I];
        let mut next = 0;
        while let Some(&state) = reached.get(next) {
            next += 1;
            for event in EVENTS {
                let state = fsm(state, event, roles);
                if !reached.contains(&state) {
                    reached.push(state);
                }
            }
        }
        assert_eq!(reached.len(), PortState::ALL.len() - forbidden.len(), "{roles:?} {reached:?}");
        assert!(!reached.iter().any(|state| forbidden.contains(state)), "{roles:?} {reached:?}");
    }
}
