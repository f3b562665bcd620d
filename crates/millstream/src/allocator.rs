//! What the C library does with memory that is given back to it.
//!
//! Blocks of some megabytes come and go with every chunk: what is read, its columns, what becomes of them. As it is set up, glibc gives such memory back to the
//! kernel at once, which has to fill it with zeros a moment later, page by page (`docs/adr/0027-memory-is-kept.md`).

/// From now on, blocks of up to [`BLOCK_BYTES_MAX`] are used again, and up to [`KEPT_BYTES_MAX`] at the end of each of the allocator's heaps stay with it. To be
/// called before other threads run. Does nothing where the C library is not glibc.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "glibc has no other way to say it from inside a process")]
    // SAFETY: mallopt takes two numbers, and only changes settings of the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCK_BYTES_MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
    }
}

/// The most that glibc takes for this.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const BLOCK_BYTES_MAX: libc::c_int = 32 << 20;

/// As much as some chunks of a flow and what becomes of them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES_MAX: libc::c_int = 64 << 20;
