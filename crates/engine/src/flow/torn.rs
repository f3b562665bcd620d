//! Writes a torn epoch again, as it was.

use millstream_core::ports::EpochWrite;
use millstream_core::{Attempt, ChangeBatch, Epoch, Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, MadeOf};
use super::redo::{Difference, Torn};
use super::runner::FlowRunner;
use crate::compute;
use crate::source::SourceState;

impl FlowRunner {
    /// Writes `epoch`, of which the sink may hold a part, with the changes that it had. Its checkpoint is `torn`. `None`: asked to stop.
    pub(super) async fn write_again(
        &self,
        attempt: Attempt,
        epoch: Epoch,
        (torn, from): (Checkpoint, Torn),
        shutdown: &CancellationToken,
    ) -> Result<Option<()>> {
        let (id, table) = (&self.spec.id, &self.spec.table);
        let changes = match from {
            Torn::Passed => return Ok(Some(())),
            Torn::Changes => torn.redo.iter().cloned().collect(),
            Torn::Records(made_of) => match self.made_again(epoch, &made_of, &torn.header.source, shutdown).await? {
                Some(changes) => vec![changes],
                None => return Ok(None),
            },
            Torn::OfAnotherQuery(how) => {
                return Err(Error::invalid(format!(
                    "flow {id}: epoch {epoch} may be in {table} in part, and its query has changed since: {how}: start it with the query that it had, \
                     which finishes that epoch, or run `millstream reset {table}` to rebuild the table"
                )));
            }
        };
        tracing::info!(flow = %id, %epoch, "writing an epoch again that may have been torn");
        // The attempt that put its checkpoint may still be about to find itself fenced, and to take it back.
        let bytes = torn.encode()?;
        let Some(()) = self.patiently(shutdown, || self.ports.checkpoints.put(id, attempt, epoch, bytes.clone())).await? else {
            return Ok(None);
        };
        let write = EpochWrite { flow: id.clone(), attempt, epoch, table: table.clone(), changes };
        Ok(self.patiently(shutdown, || self.spec.sink.commit(write.clone())).await?.map(drop))
    }

    /// The changes of `epoch`, made again of the records that it read, up to `end`. `None`: asked to stop.
    async fn made_again(
        &self,
        epoch: Epoch,
        made_of: &MadeOf,
        end: &SourceState,
        shutdown: &CancellationToken,
    ) -> Result<Option<ChangeBatch>> {
        let (id, table) = (&self.spec.id, &self.spec.table);
        let in_part = format!("flow {id}: epoch {epoch} may be in {table} in part");
        let gone = |how: &str| {
            Error::out_of_range(format!(
                "{in_part}, and what it was made of is no longer all in {} ({how}): run `millstream reset {table}` to build the table of what is left",
                self.spec.source_names()
            ))
        };
        let chunk = match self.patiently(shutdown, || self.spec.source.again(&made_of.source, end)).await {
            Err(error) if error.kind() == ErrorKind::OutOfRange => return Err(gone(&error.to_string())),
            other => other.map_err(|error| error.context(in_part.as_str()))?,
        };
        let Some(chunk) = chunk else { return Ok(None) };
        let mut processor = (self.spec.fresh)()?;
        let changes = compute::on(chunk.bytes, || processor.process(&chunk, self.ports.clock.now()))?.changes;
        match made_of.check(chunk.records() as u64, changes.len() as u64) {
            Ok(()) => Ok(Some(changes)),
            Err(Difference::Records(how)) => Err(gone(&how)),
            Err(Difference::Changes(how)) => Err(Error::invalid(format!(
                "{in_part}, and this program makes other rows of its records than the one that began it ({how}): start it with that program, which \
                 finishes that epoch, or run `millstream reset {table}` to rebuild the table"
            ))),
        }
    }
}
