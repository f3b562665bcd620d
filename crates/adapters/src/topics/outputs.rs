//! [`Outputs`]: the topics that flows write, and each flow's way into its topic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_core::encode::RowEncoder;
use millstream_core::ports::{TopicOutput, TopicSpec};
use millstream_core::{Error, FlowId, Result, TableSpec};

/// A topic that flows write.
pub(crate) struct Output {
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    pub(crate) encoder: RowEncoder,
}

/// What the broker is asked for.
pub(crate) fn topic_spec(output: &TopicOutput) -> TopicSpec {
    TopicSpec { name: output.topic.clone(), partitions: output.partitions, retention: output.retention }
}

/// One flow's way into one topic, taken by one call at a time.
pub(crate) type Lane<L> = Arc<tokio::sync::Mutex<L>>;

/// The topics by table; `L` is what a sink keeps of a flow.
pub(crate) struct Outputs<L> {
    tables: Mutex<BTreeMap<String, Arc<Output>>>,
    lanes: Mutex<BTreeMap<(String, FlowId), Lane<L>>>,
}

impl<L> Default for Outputs<L> {
    fn default() -> Self {
        Self { tables: Mutex::default(), lanes: Mutex::default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Default> Outputs<L> {
    /// Makes a topic known, with an encoder that [`RowEncoder::try_new`] made of it.
    pub(crate) fn insert(&self, spec: &TableSpec, output: &TopicOutput, encoder: RowEncoder) {
        let output = Output { topic: output.topic.clone(), partitions: output.partitions, encoder };
        lock(&self.tables).insert(spec.name.clone(), Arc::new(output));
    }

    /// The topic of `table`, and the way of `flow` into it. [`NotFound`](millstream_core::ErrorKind::NotFound) for a table that was not
    /// made known.
    pub(crate) fn get(&self, table: &str, flow: &FlowId) -> Result<(Arc<Output>, Lane<L>)> {
        let output = lock(&self.tables).get(table).cloned();
        let output = output.ok_or_else(|| Error::not_found(format!("table {table} is no topic that flows write")))?;
        Ok((output, lock(&self.lanes).entry((table.to_owned(), flow.clone())).or_default().clone()))
    }

    /// Forgets the topic of `table`.
    pub(crate) fn remove(&self, table: &str) {
        lock(&self.tables).remove(table);
        lock(&self.lanes).retain(|(name, _), _| name != table);
    }
}
