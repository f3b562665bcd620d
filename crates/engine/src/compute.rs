//! Work that takes the processor and waits for nothing, where a flow's task does it.

/// Work on so many bytes, or fewer, is done sooner than another thread has taken over the tasks of this one: some 100 µs.
const BYTES_IN_PASSING: usize = 16 << 10;

/// Does `work`, whose time goes by the `bytes` of its input. Where they are many, another thread runs the other tasks meanwhile.
pub fn on<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes <= BYTES_IN_PASSING { work() } else { tokio::task::block_in_place(work) }
}
