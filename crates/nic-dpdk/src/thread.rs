//! Threads of ours that use DPDK.

use core::marker::PhantomData;
use std::io;

use crate::eal::{Eal, check};

/// Why a thread could not be registered.
#[derive(Debug, thiserror::Error)]
#[error("DPDK does not take another thread: {0} (it knows at most 128)")]
pub struct WorkerThreadError(#[source] io::Error);

/// The calling thread, known to DPDK: it takes and frees buffers through a cache of its own instead of a shared ring.
/// Bound to its thread.
#[derive(Debug)]
pub struct WorkerThread(PhantomData<*const ()>);

impl WorkerThread {
    /// Registers the calling thread until the guard is dropped.
    ///
    /// # Errors
    /// Where DPDK knows too many threads already.
    pub fn register(_eal: Eal) -> Result<Self, WorkerThreadError> {
        // SAFETY: EAL is up, as `_eal` shows.
        check(unsafe { dpdk_sys::shim_thread_register() }).map_err(WorkerThreadError)?;
        Ok(Self(PhantomData))
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        // SAFETY: the guard cannot leave the thread that registered, and EAL stays up.
        unsafe { dpdk_sys::shim_thread_unregister() };
    }
}
