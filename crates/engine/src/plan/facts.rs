//! What is there before a pipeline runs: the tables that were, how far flows have come, what topics hold. Looks, and changes nothing.

use std::collections::BTreeMap;

use millstream_core::ports::{CheckpointStore, EventLog, SystemProperty};
use millstream_core::{Epoch, ErrorKind, FlowId, Result, TopicPartition};
use serde::{Deserialize, Serialize};

use crate::engine::Ports;
use crate::flow::checkpoint::Header;
use crate::identity::{self, Description};

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The tables of the pipelines that ran here, each as text; `None`: none has run.
    pub tables: Option<Description>,
    /// The flows that have checkpoints.
    pub flows: BTreeMap<FlowId, KnownFlow>,
    /// Which log topics are in; `None`: not looked at.
    pub log: Option<String>,
    /// For each topic, the offsets that its partitions hold: the first, and the next one to come.
    pub topics: BTreeMap<String, Vec<(i64, i64)>>,
}

/// A flow that has checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFlow {
    /// Its newest checkpoint that can be read, without the state.
    pub newest: Option<(Epoch, Header)>,
    /// How many newer ones can't be read.
    pub unreadable: usize,
    /// Which log its positions are in, where it reads a topic.
    pub log: Option<String>,
}

impl Facts {
    /// Everything, by `ports`.
    pub async fn of(ports: &Ports) -> Result<Self> {
        let (log, topics) = (Some(ports.log.identity().await?), topics(ports.log.as_ref()).await?);
        Ok(Self { log, topics, ..Self::of_state(ports).await? })
    }

    /// The tables and flows alone: what says whether a pipeline may be opened.
    pub(super) async fn of_state(ports: &Ports) -> Result<Self> {
        let mut flows = BTreeMap::new();
        for id in ports.checkpoints.flows().await? {
            let log = ports.system.property(SystemProperty::Log(&id)).await?;
            let (newest, unreadable) = newest(ports.checkpoints.as_ref(), &id).await?;
            flows.insert(id, KnownFlow { newest, unreadable, log });
        }
        Ok(Self { tables: identity::stored(ports.system.as_ref()).await?, flows, ..Self::default() })
    }
}

/// The newest checkpoint of `flow` that can be read, and how many newer ones can't.
async fn newest(store: &dyn CheckpointStore, flow: &FlowId) -> Result<(Option<(Epoch, Header)>, usize)> {
    let mut unreadable = 0;
    for epoch in store.epochs(flow).await?.into_iter().rev() {
        let bytes = match store.get(flow, epoch).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            other => other?,
        };
        if let Some(header) = bytes.and_then(|bytes| Header::decode(&bytes).ok()) {
            return Ok((Some((epoch, header)), unreadable));
        }
        unreadable += 1;
    }
    Ok((None, unreadable))
}

async fn topics(log: &dyn EventLog) -> Result<BTreeMap<String, Vec<(i64, i64)>>> {
    let mut topics = BTreeMap::new();
    for topic in log.topics().await? {
        let mut partitions = Vec::new();
        for partition in 0..topic.partitions {
            let bounds = log.bounds(&TopicPartition::new(topic.name.clone(), partition)).await?;
            partitions.push((bounds.start.0, bounds.end.0));
        }
        topics.insert(topic.name, partitions);
    }
    Ok(topics)
}
