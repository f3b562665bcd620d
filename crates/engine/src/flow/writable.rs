//! Rows that the format of the table's topic can't hold: their events are dead letters, so that no sink ever meets them.

use millstream_core::encode::RowEncoder;
use millstream_core::{ChangeKind, Error, Result};

use super::process::Processor;
use super::siblings;
use crate::compile::{Rejects, Rows};

impl Processor {
    /// Rows are written by `encoder`: what it can't write is rejected.
    #[must_use]
    pub fn writing(mut self, encoder: RowEncoder) -> Self {
        self.encoder = Some(encoder).filter(RowEncoder::may_refuse);
        self
    }

    /// `rows` without those of events that have a row which can't be written.
    pub(super) fn writable(&self, rows: Rows, rejects: &mut Rejects) -> Result<Rows> {
        let wrong = self.unwritable(&rows);
        if wrong.is_empty() {
            return Ok(rows);
        }
        let keep = siblings::without(&rows.origin, wrong, rejects);
        Ok(rows.filter(&keep)?)
    }

    /// An error if a result of windows can't be written: no single event is to blame for it.
    pub(super) fn refuse_unwritable(&self, rows: &Rows) -> Result<()> {
        match self.unwritable(rows).first() {
            None => Ok(()),
            Some((_, reason)) => Err(Error::invalid(format!(
                "flow {}: the result of a window can't be written: {reason}; change its query, and rebuild it with `millstream reset`",
                self.flow
            ))),
        }
    }

    fn unwritable(&self, rows: &Rows) -> Rejects {
        let Some(encoder) = &self.encoder else { return Rejects::new() };
        let delete = ChangeKind::Delete.code();
        let wrong = encoder.misfits(&rows.batch).into_iter().zip(rows.kinds.values()).zip(rows.origin.values());
        // A delete has its key alone.
        wrong.filter_map(|((reason, kind), origin)| Some((*origin, reason.filter(|_| *kind != delete)?))).collect()
    }
}
