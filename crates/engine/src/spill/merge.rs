//! Groups of memory and of runs in one order: of each group its newest row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use millstream_core::{EventTime, Result};

use super::block::Block;
use super::run::RunCursor;
use super::{GONE, GroupKey, KeyRef, Place};

type InMemory<'a> = std::iter::Peekable<Box<dyn Iterator<Item = (&'a GroupKey, &'a Place)> + 'a>>;

/// Some groups in the order of their keys.
pub(crate) enum Source<'a> {
    /// In memory.
    Memory(InMemory<'a>),
    /// In a run.
    Run(RunCursor<'a>),
}

impl<'a> Source<'a> {
    /// Groups in memory, which come in the order of their keys.
    pub(crate) fn memory(places: impl Iterator<Item = (&'a GroupKey, &'a Place)> + 'a) -> Self {
        let places: Box<dyn Iterator<Item = (&'a GroupKey, &'a Place)> + 'a> = Box::new(places);
        Self::Memory(places.peekable())
    }

    fn key(&mut self) -> Option<KeyRef<'_>> {
        match self {
            Self::Memory(places) => places.peek().map(|(key, _)| key.borrowed()),
            Self::Run(cursor) => cursor.key(),
        }
    }

    fn at(&mut self) -> Option<At> {
        match self {
            Self::Memory(places) => places.peek().map(|(_, place)| **place).filter(|place| *place != GONE).map(At::Memory),
            Self::Run(cursor) => cursor.at().filter(|(block, row)| !block.is_gone(*row)).map(|(block, row)| At::Block(block.clone(), row)),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match self {
            Self::Memory(places) => {
                places.next();
                Ok(())
            }
            Self::Run(cursor) => cursor.advance(),
        }
    }
}

/// Where a row is.
pub(crate) enum At {
    /// In a batch in memory.
    Memory(Place),
    /// In a block that was read.
    Block(Arc<Block>, usize),
}

/// A group.
pub(crate) struct Entry {
    pub(crate) key: GroupKey,
    /// Its newest row; `None`: it is gone.
    pub(crate) at: Option<At>,
}

/// The groups of several sources.
pub(crate) struct Merge<'a> {
    /// The newest first.
    sources: Vec<Source<'a>>,
}

impl<'a> Merge<'a> {
    /// Of `sources`, the newest first.
    pub(crate) fn new(sources: Vec<Source<'a>>) -> Self {
        Self { sources }
    }

    /// The next group, in the order of keys.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        self.next_until(None)
    }

    /// The same, if its window ends at `until` or before.
    pub(crate) fn next_until(&mut self, until: Option<EventTime>) -> Result<Option<Entry>> {
        let least = self.sources.iter_mut().filter_map(Source::key).min();
        let Some((end, row)) = least.filter(|(end, _)| until.is_none_or(|until| *end <= until)) else { return Ok(None) };
        let key = GroupKey::new(end, row);
        let mut newest = None;
        for source in &mut self.sources {
            if source.key() == Some(key.borrowed()) {
                newest.get_or_insert(source.at());
                source.advance()?;
            }
        }
        Ok(Some(Entry { key, at: newest.flatten() }))
    }
}

/// Puts rows of many batches together.
pub(crate) struct Picker<'a> {
    memory: &'a [RecordBatch],
    further: &'a [RecordBatch],
    /// Which of `batches` a batch in memory is, and a block by its address.
    of_memory: HashMap<usize, usize>,
    of_block: HashMap<usize, usize>,
    blocks: Vec<Arc<Block>>,
    nothing: Option<usize>,
    batches: Vec<Option<RecordBatch>>,
    indices: Vec<(usize, usize)>,
}

impl<'a> Picker<'a> {
    /// Of rows whose places in memory are in `memory`.
    pub(crate) fn new(memory: &'a [RecordBatch]) -> Self {
        Self::of_both(memory, &[])
    }

    /// Of rows whose places are in `memory` and, numbered behind these, in `further`.
    pub(crate) fn of_both(memory: &'a [RecordBatch], further: &'a [RecordBatch]) -> Self {
        Self {
            memory,
            further,
            of_memory: HashMap::new(),
            of_block: HashMap::new(),
            blocks: Vec::new(),
            nothing: None,
            batches: Vec::new(),
            indices: Vec::new(),
        }
    }

    /// Adds a row; `None`: one of nulls.
    pub(crate) fn add(&mut self, at: Option<At>) {
        let Self { memory, further, batches, .. } = self;
        let in_memory = |batch: usize| memory.get(batch).or_else(|| further.get(batch.checked_sub(memory.len())?)).cloned();
        let mut next = |batch: Option<RecordBatch>| {
            batches.push(batch);
            batches.len() - 1
        };
        let place = match at {
            None => (*self.nothing.get_or_insert_with(|| next(None)), 0),
            Some(At::Memory((batch, row))) => (*self.of_memory.entry(batch).or_insert_with(|| next(in_memory(batch))), row),
            Some(At::Block(block, row)) => {
                let number = *self.of_block.entry(Arc::as_ptr(&block) as usize).or_insert_with(|| {
                    self.blocks.push(block.clone());
                    next(Some(block.rows().clone()))
                });
                (number, row)
            }
        };
        self.indices.push(place);
    }

    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }

    /// The columns of the rows, which are those of `schema`.
    pub(crate) fn columns(&self, schema: &SchemaRef) -> Result<Vec<ArrayRef>> {
        let column = |(at, field): (usize, &Arc<arrow::datatypes::Field>)| -> Result<ArrayRef> {
            if self.indices.is_empty() {
                return Ok(new_null_array(field.data_type(), 0));
            }
            let nothing = new_null_array(field.data_type(), 1);
            let arrays: Vec<&dyn Array> =
                self.batches.iter().map(|batch| batch.as_ref().map_or(nothing.as_ref(), |batch| batch.column(at).as_ref())).collect();
            Ok(interleave(&arrays, &self.indices)?)
        };
        schema.fields().iter().enumerate().map(column).collect()
    }

    /// The rows.
    pub(crate) fn rows(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(schema.clone(), self.columns(schema)?)?)
    }
}
