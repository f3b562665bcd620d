//! The file of committed consumer offsets: a header (`MSGO`, a version byte, three zeros), then changes, each behind its length and
//! its CRC-32C (both big endian), as JSON. It is rewritten when most of it has been overtaken.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millstream_core::Timestamp;

use super::error::{IoContext, LogError};
use super::sealed;
use super::segment::append_whole;
use crate::coordinator::{OffsetChange, OffsetKey, Offsets};
use crate::settings::Durability;

/// Version of the file.
pub const OFFSET_FILE_VERSION: u8 = 1;
const HEADER: [u8; 8] = [b'M', b'S', b'G', b'O', OFFSET_FILE_VERSION, 0, 0, 0];
const ENTRY_PREFIX_LEN: usize = 8;
const REWRITE_BYTES_MIN: u64 = 1 << 20;
/// Changes that nobody resumes from are written together about so often.
const NOTED_INTERVAL: Duration = Duration::from_secs(1);

/// Committed offsets, in memory and on disk.
#[derive(Debug)]
pub struct OffsetFile {
    path: PathBuf,
    durability: Durability,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    offsets: Offsets,
    file: File,
    len: u64,
    rewrite_at: u64,
    torn: bool,
    /// Changes that show already and are not in the file yet.
    noted: Offsets,
    noted_written: Timestamp,
}

fn encode(change: &OffsetChange, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let json = serde_json::to_vec(change)?;
    out.extend_from_slice(&(json.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(&json).to_be_bytes());
    out.extend_from_slice(&json);
    Ok(())
}

/// The changes in `bytes` (without the header), and how many bytes they are; the rest is a torn tail.
fn decode(bytes: &[u8]) -> (Vec<OffsetChange>, usize) {
    let mut changes = Vec::new();
    let mut at = 0;
    while let Some(&[l0, l1, l2, l3, c0, c1, c2, c3]) = bytes[at..].first_chunk::<ENTRY_PREFIX_LEN>() {
        let from = at + ENTRY_PREFIX_LEN;
        let to = from + u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let Some(json) = bytes.get(from..to).filter(|j| crc32c::crc32c(j) == u32::from_be_bytes([c0, c1, c2, c3])) else {
            break;
        };
        let Ok(change) = serde_json::from_slice(json) else {
            break;
        };
        changes.push(change);
        at = to;
    }
    (changes, at)
}

impl OffsetFile {
    /// Reads the file at `path`, or begins it; a tail that a crash tore is cut off. Offsets of topics that `exists` denies are dropped.
    pub fn open(path: &Path, durability: Durability, exists: impl Fn(&OffsetKey) -> bool) -> Result<Self, LogError> {
        let mut offsets = Offsets::default();
        match fs::read(path) {
            Ok(bytes) if bytes.len() >= HEADER.len() => {
                if bytes[..4] != HEADER[..4] {
                    return Err(LogError::DamagedFile { path: path.to_owned(), why: "it doesn't begin as an offset file does".to_owned() });
                }
                if bytes[..HEADER.len()] != HEADER {
                    return Err(LogError::Version { path: path.to_owned(), found: bytes[4], known: OFFSET_FILE_VERSION });
                }
                decode(&bytes[HEADER.len()..]).0.into_iter().for_each(|c| offsets.apply(c));
            }
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(LogError::io("read", path, e)),
        }
        offsets.retain_topics(exists);
        let (file, len) = rewrite(path, &offsets)?;
        let state = State {
            offsets,
            file,
            len,
            rewrite_at: REWRITE_BYTES_MIN.max(2 * len),
            torn: false,
            noted: Offsets::default(),
            noted_written: Timestamp::MIN,
        };
        Ok(Self { path: path.to_owned(), durability, state: Mutex::new(state) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the offsets.
    pub fn look<T>(&self, at: impl FnOnce(&Offsets) -> T) -> T {
        at(&self.state().offsets)
    }

    /// Stores a change, and applies it once it is as durable as the settings say. Blocks on the disk.
    pub fn store(&self, change: OffsetChange) -> Result<(), LogError> {
        let mut state = self.state();
        self.write(&mut state, &[change], self.durability)
    }

    /// Applies a change that nobody resumes from. It is written within about a second, with all others of that time, and a death in
    /// between loses it. Blocks on the disk.
    pub fn note(&self, change: OffsetChange, now: Timestamp) -> Result<(), LogError> {
        let mut state = self.state();
        state.offsets.apply(change.clone());
        state.noted.apply(change);
        // Also when the clock was put back.
        if (state.noted_written..state.noted_written.plus(NOTED_INTERVAL)).contains(&now) {
            return Ok(());
        }
        state.noted_written = now;
        self.write(&mut state, &[], Durability::Process)
    }

    /// Writes what was noted, and then `changes`.
    fn write(&self, state: &mut State, changes: &[OffsetChange], durability: Durability) -> Result<(), LogError> {
        let mut entry = Vec::new();
        let noted = std::mem::take(&mut state.noted).snapshot();
        for change in noted.iter().chain(changes) {
            encode(change, &mut entry).map_err(|e| LogError::io("write", &self.path, std::io::Error::other(e)))?;
        }
        if entry.is_empty() {
            return Ok(());
        }
        if state.torn {
            state.file.set_len(state.len).during("take back a write in", &self.path)?;
            state.torn = false;
        }
        if let Err((e, taken_back)) = append_whole(&state.file, &entry, state.len) {
            state.torn = !taken_back;
            return Err(LogError::io("append to", &self.path, e));
        }
        if durability == Durability::Fsync {
            state.file.sync_data().during("flush", &self.path)?;
        }
        state.len += entry.len() as u64;
        for change in changes {
            state.offsets.apply(change.clone());
        }
        if state.len > state.rewrite_at {
            let (file, len) = rewrite(&self.path, &state.offsets)?;
            state.file = file;
            state.len = len;
            state.rewrite_at = REWRITE_BYTES_MIN.max(2 * len);
        }
        Ok(())
    }
}

impl Drop for OffsetFile {
    fn drop(&mut self) {
        let mut state = self.state();
        if let Err(error) = self.write(&mut state, &[], Durability::Process) {
            tracing::warn!(%error, "the last acknowledged positions were not written");
        }
    }
}

fn rewrite(path: &Path, offsets: &Offsets) -> Result<(File, u64), LogError> {
    let mut bytes = HEADER.to_vec();
    for change in offsets.snapshot() {
        encode(&change, &mut bytes).map_err(|e| LogError::io("write", path, std::io::Error::other(e)))?;
    }
    sealed::replace(path, &bytes)?;
    let file = OpenOptions::new().write(true).open(path).during("open", path)?;
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests;
