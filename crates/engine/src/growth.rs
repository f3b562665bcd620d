//! [`TopicGrowth`]: topics that have got partitions since the pipeline began to read them.
//!
//! Flows read the partitions that there were when they began. What comes into others is in the topic, and nobody reads it before the pipeline is started again:
//! so it is told, in the log and in the status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::Result;
use millstream_core::ports::{Clock, EventLog, TopicInfo};
use millstream_core::status::GrownTopic;
use millstream_pipeline::graph::{Binding, Pipeline};
use tokio_util::sync::CancellationToken;

use crate::engine::Ports;

/// So often the log is asked how many partitions its topics have.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Looks at the topics that the flows of a pipeline read.
pub(crate) struct TopicGrowth {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    /// How many partitions of each topic are read.
    read: BTreeMap<String, i32>,
    found: Mutex<Vec<GrownTopic>>,
}

impl TopicGrowth {
    /// For the flows of `pipeline`, which read as many partitions as it says that its topics have.
    pub(crate) fn new(pipeline: &Pipeline, ports: &Ports) -> Self {
        let of_flows = pipeline.tables.iter().filter(|(name, _)| pipeline.flows.iter().any(|flow| flow.reads(name)));
        let read = of_flows.filter_map(|(_, table)| match &table.binding {
            Binding::Topic(topic) => Some((topic.name.clone(), topic.partitions)),
            _ => None,
        });
        Self { log: ports.log.clone(), clock: ports.clock.clone(), read: read.collect(), found: Mutex::default() }
    }

    /// Looks now and then, until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        while !self.read.is_empty() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.clock.sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.look().await {
                // That it is away, the flows tell.
                tracing::debug!(%error, "the log was not asked for its partitions");
            }
        }
    }

    /// Looks once, and warns of what has grown since the last time.
    pub(crate) async fn look(&self) -> Result<()> {
        let grown = grown(&self.read, &self.log.topics().await?);
        let mut found = self.found();
        for topic in grown.iter().filter(|topic| !found.contains(topic)) {
            tracing::warn!("{topic}");
        }
        *found = grown;
        Ok(())
    }

    /// The topics that have grown.
    pub(crate) fn status(&self) -> Vec<GrownTopic> {
        self.found().clone()
    }

    fn found(&self) -> MutexGuard<'_, Vec<GrownTopic>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The topics of which more partitions are there than are `read`. Pure.
fn grown(read: &BTreeMap<String, i32>, there: &[TopicInfo]) -> Vec<GrownTopic> {
    let has_more = |topic: &TopicInfo| {
        let read = *read.get(&topic.name)?;
        (topic.partitions > read).then(|| GrownTopic { topic: topic.name.clone(), partitions: topic.partitions, read })
    };
    there.iter().filter_map(has_more).collect()
}

#[cfg(test)]
mod tests;
