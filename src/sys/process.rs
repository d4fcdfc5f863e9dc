//! Requests of a worker to the kernel about itself. The only unsafe code of the crate.

use std::io;

use rustix::thread::UnshareFlags;

/// Gives the calling thread a descriptor table of its own, a copy of the process's.
///
/// # Errors
/// The kernel or a sandbox refuses: the thread goes on with the shared table.
pub fn unshare_descriptors() -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "a descriptor then means another thing in another thread; see the SAFETY comment"
    )]
    // SAFETY: the thread's owner sees to it that no owner of a descriptor leaves or enters the thread afterwards.
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) };
    Ok(unshared?)
}

/// Keeps all signals from being delivered to the calling thread, so that none cuts a system call of it short.
pub fn block_signals() {
    #[expect(
        unsafe_code,
        reason = "no safe library function sets a thread's signal mask without owning signals"
    )]
    // SAFETY: both calls write only to `all`, which is valid for them; a mask is the thread's own.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// Bounds how many arenas the C library's allocator shares out among threads (8 for each core, where nobody does). For the
/// time before there are threads: what they have by then they keep.
pub fn bound_arenas(count: usize) {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "no safe library function sets this up")]
    // SAFETY: it takes two numbers and the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, libc::c_int::try_from(count).unwrap_or(libc::c_int::MAX));
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

/// Gives back to the system what is free in the heap. Walks over all of that: not for a worker.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "no safe library function asks the C library's allocator for this")]
    // SAFETY: it takes a number and the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes of the heap, and those of them that are free: the C library's own count. Either may have been given back to the
/// system, or never have been touched.
#[must_use]
pub fn heap_bytes() -> [u64; 2] {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "no safe library function asks the C library's allocator for this")]
    // SAFETY: it takes nothing but the allocator's own locks, and returns numbers.
    unsafe {
        let heap = libc::mallinfo2();
        [(heap.arena + heap.hblkhd) as u64, heap.fordblks as u64]
    }
    #[cfg(not(target_env = "gnu"))]
    [0, 0]
}
