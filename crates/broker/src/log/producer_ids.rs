//! Ids for idempotent producers, each given out once: blocks are reserved in a file before an id of them is used, so that a crash
//! wastes ids but never repeats one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::LogError;
use super::sealed;

/// Version of the `producer-ids` file.
pub const PRODUCER_IDS_VERSION: u8 = 1;
const BLOCK: i64 = 1000;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Reserved {
    /// The first id that no block has reserved.
    next: i64,
}

/// The source of producer ids.
#[derive(Debug)]
pub struct ProducerIds {
    path: PathBuf,
    next: i64,
    reserved: i64,
}

impl ProducerIds {
    /// Goes on where the file at `path` says.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let Reserved { next } = sealed::read(path, PRODUCER_IDS_VERSION)?.unwrap_or_default();
        Ok(Self { path: path.to_owned(), next, reserved: next })
    }

    /// A new id.
    pub fn take(&mut self) -> Result<i64, LogError> {
        if self.next == self.reserved {
            let next = self.reserved + BLOCK;
            sealed::write(&self.path, PRODUCER_IDS_VERSION, &Reserved { next })?;
            self.reserved = next;
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}
