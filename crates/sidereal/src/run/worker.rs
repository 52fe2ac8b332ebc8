//! Workers, made of their parts.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{
    Judge, LinkSpeed, OverPtpParts, OverPtpServer, Parts, Service, SnapshotReader, TxOptions, Worker, WorkerCounters,
    WorkerLink, WorkerNicClock, WorkerPtp, residence,
};
use sidereal_nic::{RxQueue, TxQueue};
use sidereal_ntp::{Policy, Server, ServerLimits};
use sidereal_ptp::Transport;
use sidereal_publish::TableWriter;
use std::net::IpAddr;
use std::sync::Arc;

use super::board::Board;
use super::clock::ClockKeeper;
use super::ports;
use crate::command::Failure;
use crate::config::{Config, KernelPort, Port};

/// What all workers have in common.
pub(super) struct Common<'a> {
    pub(super) config: &'a Config,
    pub(super) counter: LocalCounter,
    pub(super) snapshot: SnapshotReader,
    pub(super) policy: &'a TableWriter<Policy>,
}

/// By what a worker is joined to other threads, on a port of DPDK.
#[derive(Default)]
pub(super) struct Links {
    /// To the exception path.
    pub(super) exception: Option<WorkerLink>,
    /// To the engine, where the port carries PTP.
    pub(super) ptp: Option<WorkerPtp>,
    /// To the engine, where this is the worker that reads the port's clock.
    pub(super) nic_clock: Option<WorkerNicClock>,
}

/// How many prefixes a worker remembers where there is no rate limit at start: a reload may bring one.
const RATE_LIMIT_PREFIXES: usize = 65_536;

impl Common<'_> {
    /// A worker for one queue of the port that the board was told of last.
    pub(super) fn worker<R: RxQueue, T: TxQueue<R::Packet>>(
        &self,
        (rx, tx): (R, T),
        (service, transmit): (Service, TxOptions),
        links: Links,
        (queue, core): (usize, Option<usize>),
        board: &mut Board,
    ) -> Result<Worker<R, T>, Failure> {
        let counters = Arc::new(WorkerCounters::new());
        let (residence, reader) = residence();
        board.add_worker(queue, core, Arc::clone(&counters), reader);
        Ok(Worker::new(Parts {
            rx,
            tx,
            counter: self.counter,
            snapshot: self.snapshot.clone(),
            policy: self.policy.reader(),
            transmit,
            judge: Judge::new(service, Server::new(&self.limits()?)),
            counters,
            residence,
            link: links.exception,
            ptp: links.ptp,
            nic_clock: links.nic_clock,
        }))
    }

    /// Has `keeper` answer NTP that PTP carries on a port of the kernel with a link of this speed, of which the board was told
    /// last.
    pub(super) fn serve_over_ptp(
        &self,
        (port, kernel, speed): (&Port, &KernelPort, &LinkSpeed),
        keeper: &mut ClockKeeper,
        board: &mut Board,
    ) -> Result<(), Failure> {
        let Some(interface) = kernel.interface.as_ref().map(crate::config::InterfaceName::as_str) else {
            return Ok(());
        };
        let mac = sidereal_nic_kernel::hardware_address(interface).ok();
        for (transport, is_of) in
            [(Transport::UdpIpv4, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (Transport::UdpIpv6, IpAddr::is_ipv6)]
        {
            let Some(over_ptp) = ports::over_ptp(self.config, mac, speed).filter(|over_ptp| over_ptp.serves) else {
                continue;
            };
            if !kernel.bind.iter().any(is_of) {
                continue;
            }
            let counters = Arc::new(WorkerCounters::new());
            board.add_over_ptp(Arc::clone(&counters));
            let server = OverPtpServer::new(OverPtpParts {
                over_ptp,
                server: Server::new(&self.limits()?),
                smear: ports::smear(port),
                snapshot: self.snapshot.clone(),
                policy: self.policy.reader(),
                counter: self.counter,
                counters,
            });
            keeper.serve_ntp_over_ptp(interface, transport, server)?;
        }
        Ok(())
    }

    fn limits(&self) -> Result<ServerLimits, Failure> {
        let server = &self.config.ntp_server;
        let random = || getrandom::u64().map_err(|error| Failure::Failed(format!("no random numbers: {error}")));
        Ok(ServerLimits {
            interleaved_clients: server.interleaved_clients.get() as usize,
            rate_limit_prefixes: server
                .rate_limit
                .as_ref()
                .map_or(RATE_LIMIT_PREFIXES, |limit| limit.prefixes.get() as usize),
            secret: [random()?, random()?],
        })
    }
}

/// How fast `counter` counts, as the rate limit needs it.
pub(super) fn ticks_per_second(counter: LocalCounter) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates; no counter is that fast"
    )]
    let hertz = counter.nominal_hertz() as u64;
    hertz
}
