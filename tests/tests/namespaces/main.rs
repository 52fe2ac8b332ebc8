//! End to end, in network namespaces: real peers ask Sidereal, and what passed is looked at packet by packet.

mod bad_packets;
mod clients;
mod commands;
mod exception_path;
mod load;
mod ntp_over_ptp;
mod policy;
mod ptp;
mod request;
mod sources;
mod stamping;
mod testbed;
