//! A topic: a folder with a `topic` file that describes it, and a folder for each partition.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_core::TopicPartition;
use millstream_core::ports::TopicInfo;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::error::{IoContext, LogError};
use super::partition::Partition;
use super::sealed;
use crate::settings::BrokerSettings;

/// Version of the `topic` file.
pub const TOPIC_FILE_VERSION: u8 = 1;
const TOPIC_FILE: &str = "topic";
const NAME_LEN_MAX: usize = 249;

/// What the `topic` file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicMeta {
    /// The topic's name.
    pub name: String,
    /// A number that no other topic of this log has or had, not even one of the same name.
    pub id: u64,
    /// How many partitions.
    pub partitions: i32,
    /// How long records are kept, in milliseconds: -1 for ever; absent: as the log's settings say.
    pub retention_ms: Option<i64>,
}

/// A topic that is open.
#[derive(Debug)]
pub struct Topic {
    meta: TopicMeta,
    partitions: Vec<Partition>,
    changed: Arc<watch::Sender<()>>,
    deleted: AtomicBool,
}

/// Checks Kafka's rule for topic names. Such a name is also safe as a folder's.
pub fn check_name(name: &str) -> Result<(), LogError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_LEN_MAX || name == "." || name == ".." || !name.chars().all(allowed) {
        return Err(LogError::TopicName(name.to_owned()));
    }
    Ok(())
}

impl Topic {
    /// Writes a new topic's folder.
    pub fn lay_out(folder: &Path, meta: &TopicMeta) -> Result<(), LogError> {
        fs::create_dir_all(folder).during("create folder", folder)?;
        for partition in 0..meta.partitions {
            let path = folder.join(partition.to_string());
            fs::create_dir(&path).during("create folder", &path)?;
        }
        sealed::write(&folder.join(TOPIC_FILE), TOPIC_FILE_VERSION, meta)
    }

    /// Opens the topic in `folder`, and recovers its partitions.
    pub fn open(folder: &Path, settings: &BrokerSettings) -> Result<Self, LogError> {
        let path = folder.join(TOPIC_FILE);
        let meta: TopicMeta = sealed::read(&path, TOPIC_FILE_VERSION)?
            .ok_or_else(|| LogError::DamagedFile { path: path.clone(), why: "it is missing".to_owned() })?;
        if folder.file_name().is_none_or(|n| n != meta.name.as_str()) {
            return Err(LogError::DamagedFile { path, why: format!("it describes topic {:?}", meta.name) });
        }
        let changed = Arc::new(watch::Sender::new(()));
        let open = |p: i32| {
            let id = TopicPartition::new(meta.name.clone(), p);
            Partition::open(id, &folder.join(p.to_string()), settings, changed.clone())
        };
        let partitions = (0..meta.partitions).map(open).collect::<Result<_, _>>()?;
        Ok(Self { meta, partitions, changed, deleted: AtomicBool::new(false) })
    }

    /// What its file says.
    #[must_use]
    pub fn meta(&self) -> &TopicMeta {
        &self.meta
    }

    /// Its name and number of partitions.
    #[must_use]
    pub fn info(&self) -> TopicInfo {
        TopicInfo { name: self.meta.name.clone(), partitions: self.meta.partitions }
    }

    /// Its partitions; each stands at its number.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Partition `number`.
    pub fn partition(&self, number: i32) -> Result<&Partition, LogError> {
        let found = usize::try_from(number).ok().and_then(|i| self.partitions.get(i));
        found.ok_or_else(|| LogError::NoPartition(TopicPartition::new(self.meta.name.clone(), number)))
    }

    /// How long records are kept here; `None`: for ever.
    #[must_use]
    pub fn retention(&self, default: Option<Duration>) -> Option<Duration> {
        match self.meta.retention_ms {
            None => default,
            Some(ms) => u64::try_from(ms).ok().map(Duration::from_millis),
        }
    }

    /// Tells whenever records become visible in some partition, and when the topic is deleted.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether it was deleted while somebody still held it.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Refuses appends from now on and wakes everybody who waits.
    pub fn close_deleted(&self) {
        for partition in &self.partitions {
            partition.close_deleted();
        }
        self.deleted.store(true, Ordering::Release);
        self.changed.send_replace(());
    }
}
