//! Which of several sockets a packet goes to: the same for all packets of a sender, whatever its port.

use crate::calls;
use core::num::NonZeroU16;
use std::io;
use std::os::fd::BorrowedFd;

/// Knuth's multiplicative hash: 2^32 divided by the golden ratio.
const GOLDEN: u32 = 0x9e37_79b1;
/// Where the source address of an IPv4 header is.
const SOURCE_V4: [u32; 1] = [12];
/// Where the words of the source address of an IPv6 header are.
const SOURCE_V6: [u32; 4] = [8, 12, 16, 20];
/// Loads at offsets from here on are from the network header (linux/filter.h).
const NETWORK_HEADER: u32 = libc::SKF_NET_OFF.cast_unsigned();

/// Lets the kernel choose among the sockets bound to the same address as `socket`, in the order in which they were bound,
/// by a hash of the sender's address alone.
pub(crate) fn by_source_address(socket: BorrowedFd<'_>, ipv4: bool, queues: NonZeroU16) -> io::Result<()> {
    let words: &[u32] = if ipv4 { &SOURCE_V4 } else { &SOURCE_V6 };
    calls::attach_filter(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &program(words, queues))
}

/// A = hash; for each word: A = (A ^ word) * GOLDEN; then the upper bits modulo `queues`.
fn program(words: &[u32], queues: NonZeroU16) -> Vec<libc::sock_filter> {
    use libc::{
        BPF_ABS, BPF_ALU, BPF_IMM, BPF_K, BPF_LD, BPF_LDX, BPF_MISC, BPF_MOD, BPF_MUL, BPF_RET, BPF_RSH, BPF_TAX,
    };
    use libc::{BPF_W, BPF_X, BPF_XOR};
    // The return instruction's source of its value; BPF_A of linux/bpf_common.h.
    const BPF_A: u32 = 0x10;
    let mut program = vec![instruction(BPF_LDX | BPF_IMM, 0)];
    for word in words {
        program.push(instruction(BPF_LD | BPF_W | BPF_ABS, NETWORK_HEADER.wrapping_add(*word)));
        program.push(instruction(BPF_ALU | BPF_XOR | BPF_X, 0));
        program.push(instruction(BPF_ALU | BPF_MUL | BPF_K, GOLDEN));
        program.push(instruction(BPF_MISC | BPF_TAX, 0));
    }
    // The lower bits of a product hardly depend on the upper bits of the address.
    program.push(instruction(BPF_ALU | BPF_RSH | BPF_K, 16));
    program.push(instruction(BPF_ALU | BPF_MOD | BPF_K, u32::from(queues.get())));
    program.push(instruction(BPF_RET | BPF_A, 0));
    program
}

#[expect(clippy::cast_possible_truncation, reason = "operation codes of classic BPF have 16 bits")]
fn instruction(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
