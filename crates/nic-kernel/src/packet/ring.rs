//! The ring that the kernel puts received frames into: PACKET_RX_RING with TPACKET_V2.

use crate::calls;
use core::mem::{offset_of, size_of};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A slot of the ring: the kernel's header and a frame, in bytes. What does not fit is cut off.
const SLOT: usize = 512;
/// Memory that the kernel allocates in one piece, in bytes.
const BLOCK: usize = 1 << 16;
/// How many pieces.
const BLOCKS: usize = 64;
/// How many frames can wait.
const SLOTS: usize = BLOCK / SLOT * BLOCKS;
/// All of it.
const BYTES: usize = BLOCK * BLOCKS;

/// The kernel's header of a slot.
type Header = libc::tpacket2_hdr;

const _: () = assert!(offset_of!(Header, tp_status) == 0);
const _: () = assert!(SLOT.is_multiple_of(align_of::<Header>()));

/// Memory shared with the kernel. A slot belongs to whoever its status says; only its owner touches the rest of it.
#[derive(Debug)]
pub(super) struct Ring {
    memory: NonNull<u8>,
    /// The slot that is filled next.
    next: usize,
}

// SAFETY: the memory belongs to this value alone, as far as this process goes, and is not bound to a thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Gives the packet socket a ring and maps it.
    pub(super) fn map(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let number = |value: usize| u32::try_from(value).map_err(io::Error::other);
        let version = (libc::tpacket_versions::TPACKET_V2 as u32).cast_signed();
        calls::set_int(socket, libc::SOL_PACKET, libc::PACKET_VERSION, version)?;
        // struct tpacket_req: block size, blocks, frame size, frames.
        let request = [number(BLOCK)?, number(BLOCKS)?, number(SLOT)?, number(SLOTS)?].map(u32::to_ne_bytes);
        calls::set_option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, request.as_flattened())?;
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        // SAFETY: a new mapping at an address of the kernel's choice; it replaces nothing.
        let memory = unsafe { libc::mmap(ptr::null_mut(), BYTES, access, flags, socket.as_raw_fd(), 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { memory, next: 0 })
    }

    /// Hands each frame that has come to `each`, with its time in nanoseconds since 1970, `limit` at the most.
    pub(super) fn receive(&mut self, limit: usize, mut each: impl FnMut(&[u8], u64)) -> usize {
        let mut count = 0;
        while count < limit {
            // SAFETY: `next` is below SLOTS, so that the slot lies within the mapping.
            let slot = unsafe { self.memory.add(self.next * SLOT) };
            let status: NonNull<AtomicU32> = slot.cast();
            // SAFETY: the status is the first word of a header, aligned, and both sides access it as a whole.
            let status = unsafe { status.as_ref() };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                break;
            }
            // SAFETY: the slot is ours until its status is given back, and all bytes are a value of a header.
            let header = unsafe { slot.cast::<Header>().read() };
            let (start, length) = (usize::from(header.tp_mac), header.tp_snaplen as usize);
            if start >= size_of::<Header>() && start + length <= SLOT {
                // SAFETY: `start` has just been seen to lie within the slot.
                let frame = unsafe { slot.add(start) };
                // SAFETY: the whole frame has been seen to lie within the slot, which nobody writes to while it is ours.
                let frame = unsafe { core::slice::from_raw_parts(frame.as_ptr(), length) };
                each(frame, u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec));
            }
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % SLOTS;
            count += 1;
        }
        count
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, was made with this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), BYTES) };
    }
}
