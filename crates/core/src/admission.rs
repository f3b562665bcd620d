//! Which epochs a table takes: the one rule behind every [`EpochSink`](crate::ports::EpochSink), pure. A sink keeps a [`FlowProgress`] for
//! each flow, where and as it can, and asks it before it writes.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ident::{Attempt, Epoch, FlowId};
use crate::ports::EpochWrite;

/// How far a flow has come in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowProgress {
    /// The highest attempt that began.
    pub attempt: Attempt,
    /// The last committed epoch; 0 before the first.
    pub epoch: Epoch,
}

/// What to do with an epoch that is to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the next one.
    Write,
    /// It is committed already.
    Done,
}

impl FlowProgress {
    /// The progress once `write` is committed.
    #[must_use]
    pub fn after(write: &EpochWrite) -> Self {
        Self { attempt: write.attempt, epoch: write.epoch }
    }

    /// The progress once `attempt` of `flow` has begun in `table`, which fences all lower ones. [`Fenced`](crate::ErrorKind::Fenced) where a
    /// higher one has begun.
    pub fn begin(self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Self> {
        self.check_attempt(flow, attempt, table)?;
        Ok(Self { attempt, ..self })
    }

    /// [`Fenced`](crate::ErrorKind::Fenced) where a higher attempt of `flow` than `attempt` has begun in `table`.
    pub fn check_attempt(self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<()> {
        if attempt < self.attempt {
            return Err(Error::fenced(format!(
                "attempt {attempt} of flow {flow} writes to table {table}, where attempt {} has begun",
                self.attempt
            )));
        }
        Ok(())
    }

    /// Whether epochs are missing before `epoch`.
    #[must_use]
    pub fn leaves_gap(self, epoch: Epoch) -> bool {
        epoch > self.epoch.next()
    }

    /// Whether `write` is to be written. [`Fenced`](crate::ErrorKind::Fenced) where a higher attempt has begun;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where epochs are missing before it.
    pub fn admit(self, write: &EpochWrite) -> Result<Admission> {
        self.check_attempt(&write.flow, write.attempt, &write.table)?;
        if write.epoch <= self.epoch {
            return Ok(Admission::Done);
        }
        if self.leaves_gap(write.epoch) {
            return Err(Error::invalid(format!(
                "flow {} writes epoch {} to table {}, whose last committed epoch is {}: there is a gap",
                write.flow, write.epoch, write.table, self.epoch
            )));
        }
        Ok(Admission::Write)
    }
}

#[cfg(test)]
mod tests;
