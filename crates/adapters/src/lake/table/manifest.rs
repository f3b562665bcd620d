//! [`Manifest`]: what counts in a table, and what may come next. Decides everything and touches nothing: the store around it only has to
//! put manifest n + 1 where there is none.

use std::collections::BTreeMap;

use millstream_core::admission::{Admission, FlowProgress};
use millstream_core::ports::EpochWrite;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result};
use serde::{Deserialize, Serialize};

use crate::lake::settings::LakeSettings;

/// The version of the format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// More staged files than this are rolled even when they are small: each is a read of its own.
const STAGED_MOST: usize = 1_000;

/// A table at one moment. Stored as JSON; a field that is not known is refused, for it could change what the others mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// How far each flow has come.
    pub flows: BTreeMap<FlowId, FlowProgress>,
    /// The data files: they are numbered from 1 to `files`.
    pub rolled: Rolled,
    /// The staged files that data file `rolled.files + 1` is being made of; empty while none is.
    pub rolling: Vec<Staged>,
    /// The staged files of the epochs after those.
    pub staged: Vec<Staged>,
}

/// The data files, which never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rolled {
    pub files: u64,
    pub rows: u64,
}

/// The rows of one epoch, in a file of their own until they are rolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Staged {
    pub flow: FlowId,
    pub attempt: Attempt,
    pub epoch: Epoch,
    pub rows: u64,
    pub bytes: u64,
    /// CRC-32C of the file. It is part of the file's name: two writes of one epoch with other bytes are two files.
    pub crc32c: u32,
    /// When it was committed, in microseconds. Only says when it is time to roll; no row depends on it.
    pub since: i64,
}

impl Default for Manifest {
    fn default() -> Self {
        let (flows, rolled) = (BTreeMap::new(), Rolled::default());
        Self { format: FORMAT, flows, rolled, rolling: Vec::new(), staged: Vec::new() }
    }
}

impl Manifest {
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal("a lake table's manifest can't be written").caused_by(e))
    }

    /// [`Unsupported`](millstream_core::ErrorKind::Unsupported) for a manifest of a later format.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let corrupt = |e| Error::corrupt(format!("the manifest {name} can't be read: restore it, nothing was changed")).caused_by(e);
        let head: Head = serde_json::from_slice(bytes).map_err(corrupt)?;
        if head.format != FORMAT {
            let format = head.format;
            return Err(Error::unsupported(format!(
                "the manifest {name} has format {format}, this version knows {FORMAT}: use a newer one"
            )));
        }
        serde_json::from_slice(bytes).map_err(corrupt)
    }

    fn progress(&self, flow: &FlowId) -> FlowProgress {
        self.flows.get(flow).copied().unwrap_or_default()
    }

    /// What `attempt` of `flow` finds when it begins: its last committed epoch, and the manifest that fences the attempts before it, if this
    /// one doesn't yet. [`Fenced`](millstream_core::ErrorKind::Fenced) where a higher attempt has begun.
    pub fn begin(&self, table: &str, flow: &FlowId, attempt: Attempt) -> Result<(Epoch, Option<Self>)> {
        let now = self.progress(flow);
        let begun = now.begin(flow, attempt, table).map_err(|e| e.context("lake"))?;
        if self.flows.contains_key(flow) && attempt == now.attempt {
            return Ok((now.epoch, None));
        }
        let mut next = self.clone();
        next.flows.insert(flow.clone(), begun);
        Ok((now.epoch, Some(next)))
    }

    /// Whether `write` may be committed. [`Fenced`](millstream_core::ErrorKind::Fenced) where a higher attempt has begun.
    pub fn admit(&self, write: &EpochWrite) -> Result<Admission> {
        self.progress(&write.flow).admit(write).map_err(|e| e.context("lake"))
    }

    /// Whether epochs are missing before `write`, as far as this manifest knows.
    pub fn leaves_gap(&self, write: &EpochWrite) -> bool {
        self.progress(&write.flow).leaves_gap(write.epoch)
    }

    /// The manifest in which `write`, whose rows are in `staged` (`None`: it has none), is committed.
    pub fn commit(&self, write: &EpochWrite, staged: Option<Staged>) -> Self {
        let mut next = self.clone();
        next.flows.insert(write.flow.clone(), FlowProgress::after(write));
        next.staged.extend(staged);
        next
    }

    /// Bytes in staged files that are not being rolled.
    pub fn staged_bytes(&self) -> u64 {
        self.staged.iter().map(|s| s.bytes).sum()
    }

    /// Whether it is time to roll at `now` (microseconds): enough has been staged, or something for long enough.
    pub fn is_due(&self, settings: &LakeSettings, now: i64) -> bool {
        let oldest = self.staged.iter().map(|s| s.since).min();
        let waited = i64::try_from(settings.roll_interval_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        self.staged_bytes() >= settings.roll_bytes
            || self.staged.len() >= STAGED_MOST
            || oldest.is_some_and(|since| now.saturating_sub(since) >= waited)
    }

    /// The manifest in which the staged files of one data file are set aside for it: the oldest, up to about `bytes` of them.
    /// `None` where a roll is under way, or nothing is staged.
    pub fn start_roll(&self, bytes: u64) -> Option<Self> {
        if !self.rolling.is_empty() || self.staged.is_empty() {
            return None;
        }
        let mut next = self.clone();
        let mut sum = 0;
        let enough = self.staged.iter().position(|s| {
            sum += s.bytes;
            sum >= bytes
        });
        let rest = next.staged.split_off(enough.map_or(self.staged.len(), |i| i + 1));
        next.rolling = std::mem::replace(&mut next.staged, rest);
        Some(next)
    }

    /// The manifest in which data file `file` is rolled; `None` where that is not the one under way (somebody else finished it).
    pub fn finish_roll(&self, file: u64) -> Option<Self> {
        if self.rolling.is_empty() || self.rolled.files + 1 != file {
            return None;
        }
        let rows: u64 = self.rolling.iter().map(|s| s.rows).sum();
        let rolled = Rolled { files: file, rows: self.rolled.rows + rows };
        Some(Self { rolled, rolling: Vec::new(), ..self.clone() })
    }

    /// Whether the staged file of this epoch and attempt can never count any more: it does not now, and whoever would commit it is refused.
    /// This, and not its age, is why it may be removed.
    pub fn is_dead(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, crc32c: u32) -> bool {
        let named = |s: &Staged| &s.flow == flow && s.attempt == attempt && s.epoch == epoch && s.crc32c == crc32c;
        let now = self.progress(flow);
        !self.rolling.iter().chain(&self.staged).any(named) && (attempt < now.attempt || epoch <= now.epoch)
    }
}

#[cfg(test)]
mod tests;
