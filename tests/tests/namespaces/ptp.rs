//! PTP: with linuxptp in both roles, and with who means harm.

mod hostile;
mod link;
mod linuxptp;
mod way;
