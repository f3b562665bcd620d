//! The contract of [`SpillStore`].

use std::sync::Arc;

use millstream_core::ports::SpillStore;
use millstream_core::{ErrorKind, FlowId};

use super::suite;
use crate::check::{CaseResult, refused};
use crate::harness::Harness;
use crate::{check, check_eq};

/// Counts the files that a store holds, of all flows: finished or not.
pub type Count = Arc<dyn Fn() -> usize + Send + Sync>;

/// What the suite tests: a store, and how to see what it holds.
pub struct Port {
    /// The store.
    pub store: Arc<dyn SpillStore>,
    /// How many files it holds.
    pub files: Count,
}

suite!(
    "spill store",
    Port,
    [
        what_was_appended_is_read_back_from_any_place,
        a_read_past_the_end_is_damage,
        files_are_separate,
        a_dropped_file_is_gone,
        a_file_that_was_never_finished_is_gone,
        clearing_a_flow_removes_what_an_earlier_process_left_and_no_other_flows,
    ]
);

fn flow(name: &str) -> FlowId {
    FlowId::new(name)
}

fn bytes(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31 + seed * 7) % 256).unwrap_or(0)).collect()
}

/// Any part of what several appends wrote comes back as it was.
pub async fn what_was_appended_is_read_back_from_any_place(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?.store;
    let mut writer = store.create(&flow("a/b ü"))?;
    let (first, second) = (bytes(1, 5_000), bytes(2, 70_000));
    writer.append(&first)?;
    writer.append(&[])?;
    writer.append(&second)?;
    let file = writer.finish()?;
    let whole = [first, second].concat();
    for (offset, length) in [(0, 75_000), (0, 1), (4_999, 2), (5_000, 70_000), (74_999, 1), (75_000, 0)] {
        let part = &whole[offset..offset + length];
        check_eq!(file.read(offset as u64, length)?.to_vec(), part.to_vec(), "{length} bytes from {offset} on are those that were written");
    }
    Ok(())
}

/// A file has what was written, and nothing behind it.
pub async fn a_read_past_the_end_is_damage(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?.store;
    let mut writer = store.create(&flow("a"))?;
    writer.append(&bytes(1, 10))?;
    let file = writer.finish()?;
    refused(file.read(5, 6), ErrorKind::Corrupt, "a read past the end")?;
    Ok(())
}

/// Files that are written and read at the same time don't mix, of one flow or of several.
pub async fn files_are_separate(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?.store;
    let mut writers = Vec::new();
    for name in ["a", "a", "b"] {
        writers.push(store.create(&flow(name))?);
    }
    for round in 0..3 {
        for (seed, writer) in writers.iter_mut().enumerate() {
            writer.append(&bytes(seed * 10 + round, 100))?;
        }
    }
    for (seed, writer) in writers.into_iter().enumerate() {
        let file = writer.finish()?;
        let written = (0..3).flat_map(|round| bytes(seed * 10 + round, 100)).collect::<Vec<u8>>();
        check_eq!(file.read(0, 300)?.to_vec(), written, "a file has its own bytes");
    }
    Ok(())
}

/// A file takes no room any more when nobody has it.
pub async fn a_dropped_file_is_gone(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let mut writer = port.store.create(&flow("a"))?;
    writer.append(&bytes(1, 100))?;
    let file = writer.finish()?;
    check_eq!((port.files)(), 1, "a finished file is there");
    drop(file);
    check_eq!((port.files)(), 0, "a dropped file is not");
    Ok(())
}

/// What a failure left half written takes no room.
pub async fn a_file_that_was_never_finished_is_gone(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let mut writer = port.store.create(&flow("a"))?;
    writer.append(&bytes(1, 100))?;
    drop(writer);
    check_eq!((port.files)(), 0, "an unfinished file that was dropped is not there");
    Ok(())
}

/// A process that died could not remove its files: the next one does.
pub async fn clearing_a_flow_removes_what_an_earlier_process_left_and_no_other_flows(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    for name in ["a", "b"] {
        let mut writer = port.store.create(&flow(name))?;
        writer.append(&bytes(1, 100))?;
        // Nothing runs at the death of a process.
        std::mem::forget(writer.finish()?);
    }
    let port = h.reopen(port).await?;
    check_eq!((port.files)(), 2, "a death leaves the files");
    port.store.clear(&flow("a"))?;
    check_eq!((port.files)(), 1, "those of the flow are gone, those of the other are not");
    port.store.clear(&flow("a"))?;
    port.store.clear(&flow("never seen"))?;
    let mut writer = port.store.create(&flow("a"))?;
    writer.append(&bytes(3, 10))?;
    let file = writer.finish()?;
    check!(file.read(0, 10)?.to_vec() == bytes(3, 10), "a cleared flow can spill again");
    Ok(())
}
