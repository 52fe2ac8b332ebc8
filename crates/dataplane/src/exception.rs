//! The exception path: frames that are not ours go to the kernel, the kernel's own go out of the port.
//!
//! Between a worker and the thread that serves the TAP lie two rings of bytes, one each way. A frame is two bytes of
//! length and its bytes.

use rtrb::{Consumer, Producer, RingBuffer};

use crate::limits::{EXCEPTION_RING_BYTES, FRAME_MAX};

/// The end of a ring that frames are put into.
#[derive(Debug)]
pub struct FrameSender(Producer<u8>);

/// The end of a ring that frames are taken from.
#[derive(Debug)]
pub struct FrameReceiver(Consumer<u8>);

/// A worker's two ends of its link to the exception path.
#[derive(Debug)]
pub struct WorkerLink {
    /// Frames for the kernel.
    pub to_kernel: FrameSender,
    /// Frames of the kernel.
    pub from_kernel: FrameReceiver,
}

impl WorkerLink {
    /// The two ends of the worker, and those of the exception path: frames for the kernel, frames of the kernel.
    #[must_use]
    pub fn new() -> (Self, FrameReceiver, FrameSender) {
        let (to_kernel, for_kernel) = frame_ring(EXCEPTION_RING_BYTES);
        let (of_kernel, from_kernel) = frame_ring(EXCEPTION_RING_BYTES);
        (Self { to_kernel, from_kernel }, for_kernel, of_kernel)
    }
}

/// A ring of `bytes` bytes for frames.
#[must_use]
pub fn frame_ring(bytes: usize) -> (FrameSender, FrameReceiver) {
    let (producer, consumer) = RingBuffer::new(bytes);
    (FrameSender(producer), FrameReceiver(consumer))
}

impl FrameSender {
    /// Puts `frame` into the ring. Returns false, and puts nothing, where it is full or the frame is empty or longer than
    /// [`FRAME_MAX`].
    pub fn push(&mut self, frame: &[u8]) -> bool {
        let Ok(length) = u16::try_from(frame.len()) else { return false };
        if frame.is_empty() || frame.len() > FRAME_MAX {
            return false;
        }
        let Ok(mut chunk) = self.0.write_chunk(2 + frame.len()) else { return false };
        put(chunk.as_mut_slices(), 0, &length.to_le_bytes());
        put(chunk.as_mut_slices(), 2, frame);
        chunk.commit_all();
        true
    }
}

impl FrameReceiver {
    /// Takes the next frame into `buffer` and returns its length; `None` where there is none. A frame that does not fit is
    /// cut: a buffer of [`FRAME_MAX`] bytes holds every frame.
    pub fn pop(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let mut length = [0; 2];
        self.0.pop_entire_slice(&mut length).ok()?;
        let length = usize::from(u16::from_le_bytes(length));
        // Length and bytes were committed together, so they are all there.
        let copied = length.min(buffer.len());
        self.0.pop_entire_slice(buffer.get_mut(..copied)?).ok()?;
        self.0.read_chunk(length - copied).ok()?.commit_all();
        Some(copied)
    }
}

/// Writes `bytes` to place `at` of what the two slices are together.
fn put((first, second): (&mut [u8], &mut [u8]), at: usize, bytes: &[u8]) {
    let (head, tail) = bytes.split_at(bytes.len().min(first.len().saturating_sub(at)));
    let rest_at = at.saturating_sub(first.len());
    if let Some(to) = first.get_mut(at..at + head.len()) {
        to.copy_from_slice(head);
    }
    if let Some(to) = second.get_mut(rest_at..rest_at + tail.len()) {
        to.copy_from_slice(tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..200),
            take in proptest::collection::vec(any::<bool>(), 200),
        ) {
            let (mut sender, mut receiver) = frame_ring(1024);
            let mut waiting = std::collections::VecDeque::new();
            let mut buffer = [0; FRAME_MAX];
            for (frame, take) in frames.into_iter().zip(take) {
                let held: usize = waiting.iter().map(|frame: &Vec<u8>| frame.len() + 2).sum();
                let fits = held + frame.len() + 2 <= 1024;
                prop_assert_eq!(sender.push(&frame), fits);
                if fits {
                    waiting.push_back(frame);
                }
                if take {
                    let got = receiver.pop(&mut buffer).map(|len| buffer[..len].to_vec());
                    prop_assert_eq!(got, waiting.pop_front());
                }
            }
            while let Some(frame) = waiting.pop_front() {
                let len = receiver.pop(&mut buffer).unwrap();
                prop_assert_eq!(&buffer[..len], &frame[..]);
            }
            prop_assert_eq!(receiver.pop(&mut buffer), None);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let (mut sender, mut receiver) = frame_ring(1 << 17);
        assert!(!sender.push(&[]));
        assert!(!sender.push(&vec![0; FRAME_MAX + 1]));
        assert!(!sender.push(&vec![0; 70_000]));
        assert_eq!(receiver.pop(&mut [0; 4]), None);
    }
}
