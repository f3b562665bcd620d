//! [`Acknowledgements`]: tells the cluster how far flows have come, for its own tools and nobody else.
//!
//! One thread commits the newest positions about once a second, and only those that moved (Event Hubs takes 4 commits a second and
//! partition). A commit that fails is logged and tried again with the next one; no flow waits for any.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::{FlowId, Offset, Result};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::super::client::{Cluster, Renewable, Served};

/// The time between two commits.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a flow has acknowledged of a topic.
type Positions = BTreeMap<(FlowId, String), Vec<Offset>>;

/// Where flows have come to.
pub(super) struct Acknowledgements {
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: Positions,
    running: bool,
    stop: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due: waits for it. `None`: it ends here.
    fn next(&self) -> Option<Positions> {
        let idle = |state: &mut State| state.due.is_empty() && !state.stop;
        let mut state = self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        (!state.due.is_empty()).then(|| std::mem::take(&mut state.due))
    }

    fn pause(&self) {
        let running = |state: &mut State| !state.stop;
        drop(self.changed.wait_timeout_while(self.state(), INTERVAL, running));
    }
}

impl Drop for Acknowledgements {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.changed.notify_all();
    }
}

impl Acknowledgements {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, shared: Arc::default() }
    }

    /// Puts down that `flow` has acknowledged everything of `topic` before `next`.
    pub(super) fn put(&self, flow: &FlowId, topic: &str, next: &[Offset]) {
        let mut state = self.shared.state();
        state.due.insert((flow.clone(), topic.to_owned()), next.to_vec());
        if !state.running {
            let committer =
                Committer { cluster: self.cluster.clone(), groups: BTreeMap::new(), committed: BTreeMap::new(), failing: BTreeSet::new() };
            let shared = self.shared.clone();
            let started = std::thread::Builder::new().name("kafka-acknowledge".to_owned()).spawn(move || committer.run(&shared));
            state.running = started.is_ok();
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

/// The thread's own.
struct Committer {
    cluster: Arc<Cluster>,
    groups: BTreeMap<FlowId, Renewable<Served>>,
    committed: Positions,
    failing: BTreeSet<FlowId>,
}

impl Committer {
    fn run(mut self, shared: &Shared) {
        while let Some(due) = shared.next() {
            for ((flow, topic), next) in due {
                match self.commit(&flow, &topic, &next) {
                    Ok(()) => {
                        if self.failing.remove(&flow) {
                            tracing::info!(flow = flow.as_str(), "the positions of a flow are committed to its consumer group again");
                        }
                        self.committed.insert((flow, topic), next);
                    }
                    Err(error) => {
                        if self.failing.insert(flow.clone()) {
                            tracing::warn!(flow = flow.as_str(), %error, "the positions of a flow are not committed to its consumer group; the flow itself goes on");
                        }
                        // Tried again, unless something newer has come.
                        shared.state().due.entry((flow, topic)).or_insert(next);
                    }
                }
            }
            shared.pause();
            if shared.state().stop && !self.failing.is_empty() {
                return;
            }
        }
    }

    fn commit(&mut self, flow: &FlowId, topic: &str, next: &[Offset]) -> Result<()> {
        let before = self.committed.get(&(flow.clone(), topic.to_owned())).map(Vec::as_slice).unwrap_or_default();
        let operation = format!("committing the positions of flow {flow} in topic {topic}");
        let mut list = TopicPartitionList::new();
        let moved = (0_i32..).zip(next).enumerate().filter(|(i, (_, offset))| before.get(*i) != Some(offset));
        for (_, (partition, offset)) in moved {
            list.add_partition_offset(topic, partition, KafkaOffset::Offset(offset.0))
                .map_err(|e| self.cluster.failed(operation.as_str(), e))?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        let group = self.cluster.settings.group_of(flow);
        let client = self.groups.entry(flow.clone()).or_default();
        let make = || self.cluster.consumer(&[("group.id", group), ("enable.auto.commit", "false".to_owned())]);
        let client = client.get(Served::is_spoiled, make)?;
        client.consumer.commit(&list, CommitMode::Sync).map_err(|e| self.cluster.failed(operation, e))
    }
}
