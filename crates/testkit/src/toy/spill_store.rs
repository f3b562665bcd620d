//! [`SpillStore`] in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use millstream_core::ports::{SpillFile, SpillStore, SpillWriter};
use millstream_core::{Error, FlowId, Result};

use super::{Defect, Disk};

/// The files that there are, by flow and number, and the bytes that they may take together.
#[derive(Debug, Default)]
pub(super) struct Files {
    contents: BTreeMap<(FlowId, u64), Vec<u8>>,
    next: u64,
    room: Option<usize>,
    is_damaged: bool,
    created: u64,
}

/// Spilled state in memory.
#[derive(Debug)]
pub struct ToySpillStore {
    disk: Arc<Disk>,
}

impl ToySpillStore {
    /// The files on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>) -> Self {
        Self { disk }
    }

    /// From now on all files together may take so many bytes; `None`: any number.
    pub fn limit(&self, room: Option<usize>) {
        self.disk.spilled.lock().room = room;
    }

    /// From now on a byte of everything that is read is another one.
    pub fn damage(&self) {
        self.disk.spilled.lock().is_damaged = true;
    }

    /// From now on what is read is what was written.
    pub fn mend(&self) {
        self.disk.spilled.lock().is_damaged = false;
    }

    /// How many files have been begun so far.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.disk.spilled.lock().created
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> usize {
        self.disk.spilled.lock().contents.len()
    }

    /// How many files there are of `flow`.
    #[must_use]
    pub fn files_of(&self, flow: &FlowId) -> usize {
        self.disk.spilled.lock().contents.keys().filter(|(of, _)| of == flow).count()
    }
}

impl SpillStore for ToySpillStore {
    fn clear(&self, flow: &FlowId) -> Result<()> {
        self.disk.spilled.lock().contents.retain(|(of, _), _| of != flow);
        Ok(())
    }

    fn create(&self, flow: &FlowId) -> Result<Box<dyn SpillWriter>> {
        let mut files = self.disk.spilled.lock();
        let number = files.next;
        files.next += 1;
        files.created += 1;
        files.contents.insert((flow.clone(), number), Vec::new());
        Ok(Box::new(ToySpillFile { disk: self.disk.clone(), key: (flow.clone(), number) }))
    }
}

#[derive(Debug)]
struct ToySpillFile {
    disk: Arc<Disk>,
    key: (FlowId, u64),
}

impl SpillWriter for ToySpillFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let mut files = self.disk.spilled.lock();
        let taken: usize = files.contents.values().map(Vec::len).sum();
        if files.room.is_some_and(|room| taken + bytes.len() > room) {
            return Err(Error::exhausted("the toy's disk is full"));
        }
        let file = files.contents.get_mut(&self.key).ok_or_else(|| Error::corrupt("a file of spilled state is gone"))?;
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn SpillFile>> {
        Ok(self)
    }
}

impl SpillFile for ToySpillFile {
    fn read(&self, offset: u64, length: usize) -> Result<Bytes> {
        let files = self.disk.spilled.lock();
        let short = || Error::corrupt("a file of spilled state is cut short");
        let file = files.contents.get(&self.key).ok_or_else(short)?;
        let from = usize::try_from(offset).map_err(|_| short())?;
        let mut bytes = file.get(from..from.saturating_add(length)).ok_or_else(short)?.to_vec();
        if files.is_damaged || self.disk.has(Defect::ReturnsOtherBytes) {
            let middle = bytes.len() / 2;
            bytes.iter_mut().skip(middle).take(1).for_each(|b| *b ^= 1);
        }
        Ok(bytes.into())
    }
}

impl Drop for ToySpillFile {
    fn drop(&mut self) {
        if !self.disk.has(Defect::KeepsDroppedFiles) {
            self.disk.spilled.lock().contents.remove(&self.key);
        }
    }
}
