//! The log: partitioned topics on disk, box 1 of the architecture. It implements [`EventLog`](millstream_core::ports::EventLog)
//! for the engine, and hands whole record batches to the endpoint's server.
//!
//! It knows no protocol and no socket. Disk work runs on the runtime's blocking threads; a call that is dropped is carried out to
//! its end all the same.

mod error;
mod event_log;
mod offset_file;
mod partition;
mod producer_ids;
mod producers;
mod recovery;
mod sealed;
mod segment;
mod topic;

pub use error::LogError;
pub use offset_file::OffsetFile;
pub use partition::{Appended, LEADER_EPOCH};
pub use topic::{Topic, check_name};

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use millstream_core::Result;
use millstream_core::brief::Brief;
use millstream_core::ports::{Clock, TopicSpec};
use tokio_util::sync::CancellationToken;

use crate::settings::BrokerSettings;
use error::IoContext;
use producer_ids::ProducerIds;
use topic::TopicMeta;

const LOCK_FILE: &str = "lock";
const TOPICS_FOLDER: &str = "topics";
const STAGING_FOLDER: &str = "staging";
const DELETED_FOLDER: &str = "deleted";
const PRODUCER_IDS_FILE: &str = "producer-ids";
const CLUSTER_FILE: &str = "cluster";
const CLUSTER_FILE_VERSION: u8 = 1;
const OFFSETS_FILE: &str = "group-offsets";

/// The topics of one folder, which belongs to this process alone.
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    cluster_id: String,
    settings: BrokerSettings,
    clock: Arc<dyn Clock>,
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// Held while topics are created or deleted: the last topic id that was given out.
    admin: Mutex<u64>,
    producer_ids: Mutex<ProducerIds>,
    offsets: Arc<OffsetFile>,
    paused: RwLock<Option<String>>,
    brief: Brief,
    _lock: File,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("folder", &self.shared.folder).field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in `folder`, which is created if it is missing: takes the folder's lock, finishes what a crash interrupted, and
    /// recovers every partition.
    ///
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) when another process has it open;
    /// [`Corrupt`](millstream_core::ErrorKind::Corrupt) when stored bytes are not what was written (a torn tail is none of that: it
    /// is cut off); [`Unsupported`](millstream_core::ErrorKind::Unsupported) for files of a newer version.
    pub async fn open(folder: impl Into<PathBuf>, settings: BrokerSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        settings.validate()?;
        let folder = folder.into();
        let shared = blocking(move || Shared::open(folder, settings, clock)).await?;
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// The settings that it was opened with.
    #[must_use]
    pub fn settings(&self) -> &BrokerSettings {
        &self.shared.settings
    }

    /// The name that this log has told its clients since it was created.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.shared.cluster_id
    }

    /// The offsets that consumer groups have committed here.
    pub(crate) fn offsets(&self) -> &Arc<OffsetFile> {
        &self.shared.offsets
    }

    /// The folder that it lives in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The clock that it was opened with.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Takes no more records, for the reason given (a disk that is nearly full), until it is called with `None`. Appends answer
    /// [`Exhausted`](millstream_core::ErrorKind::Exhausted), which Kafka clients retry; reads go on.
    pub fn pause_intake(&self, reason: Option<String>) {
        *self.shared.paused.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why no records are taken, if that is so.
    #[must_use]
    pub fn intake_paused(&self) -> Option<String> {
        self.shared.paused.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn check_intake(&self) -> Result<(), LogError> {
        self.intake_paused().map_or(Ok(()), |why| Err(LogError::Paused(why)))
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        self.shared.topic(name)
    }

    pub(crate) fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.shared.all_topics()
    }

    /// Checks whether `spec` could be created; `Ok(false)`: it exists already, with as many partitions.
    pub(crate) fn check_new_topic(&self, spec: &TopicSpec) -> Result<bool, LogError> {
        self.shared.check_new_topic(spec)
    }

    pub(crate) async fn create(&self, spec: TopicSpec) -> Result<bool, LogError> {
        let shared = self.shared.clone();
        blocking(move || shared.create_topic(&spec)).await
    }

    pub(crate) async fn delete(&self, name: String) -> Result<(), LogError> {
        let shared = self.shared.clone();
        blocking(move || shared.delete_topic(&name)).await
    }

    /// A producer id that was never given out before.
    pub(crate) async fn new_producer_id(&self) -> Result<i64, LogError> {
        let shared = self.shared.clone();
        blocking(move || shared.producer_ids.lock().unwrap_or_else(PoisonError::into_inner).take()).await
    }

    /// Removes what is older than each topic's retention. Returns how many bytes went.
    pub async fn enforce_retention(&self) -> Result<u64> {
        let shared = self.shared.clone();
        Ok(blocking(move || shared.enforce_retention()).await?)
    }

    /// Looks after retention until `shutdown`. The server runs this; who uses a log without a server has to run it.
    pub async fn maintain(&self, shutdown: CancellationToken) {
        let interval = Duration::from_secs(self.shared.settings.retention_check_secs);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.shared.clock.sleep(interval) => {}
            }
            match self.enforce_retention().await {
                Ok(0) => {}
                Ok(bytes) => tracing::info!(bytes, "removed log segments older than their topic's retention"),
                Err(error) => tracing::warn!(%error, "retention could not be enforced"),
            }
        }
    }
}

impl Shared {
    fn open(folder: PathBuf, settings: BrokerSettings, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let topics_folder = folder.join(TOPICS_FOLDER);
        fs::create_dir_all(&topics_folder).during("create folder", &topics_folder)?;
        let lock = lock_folder(&folder)?;
        for leftover in [folder.join(STAGING_FOLDER), folder.join(DELETED_FOLDER)] {
            if leftover.exists() {
                fs::remove_dir_all(&leftover).during("remove folder", &leftover)?;
            }
            fs::create_dir(&leftover).during("create folder", &leftover)?;
        }
        let mut topics = BTreeMap::new();
        for entry in fs::read_dir(&topics_folder).during("list", &topics_folder)? {
            let topic = Topic::open(&entry.during("list", &topics_folder)?.path(), &settings)?;
            topics.insert(topic.meta().name.clone(), Arc::new(topic));
        }
        let last_id = topics.values().map(|t| t.meta().id).max().unwrap_or(0);
        let cluster_id = cluster_id(&folder.join(CLUSTER_FILE), &*clock)?;
        let producer_ids = ProducerIds::open(&folder.join(PRODUCER_IDS_FILE))?;
        let exists = |key: &crate::coordinator::OffsetKey| topics.get(&key.topic).is_some_and(|t: &Arc<Topic>| t.meta().id == key.topic_id);
        let offsets = Arc::new(OffsetFile::open(&folder.join(OFFSETS_FILE), settings.durability, exists)?);
        Ok(Self {
            folder,
            cluster_id,
            settings,
            brief: Brief::new(clock.clone()),
            clock,
            topics: RwLock::new(topics),
            admin: Mutex::new(last_id),
            producer_ids: Mutex::new(producer_ids),
            offsets,
            paused: RwLock::new(None),
            _lock: lock,
        })
    }

    fn topic(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned().ok_or_else(|| LogError::NoTopic(name.to_owned()))
    }

    fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn check_new_topic(&self, spec: &TopicSpec) -> Result<bool, LogError> {
        check_name(&spec.name)?;
        let refuse = |why: String| LogError::Partitions { name: spec.name.clone(), asked: spec.partitions, why };
        if spec.partitions < 1 {
            return Err(refuse("it needs at least one".to_owned()));
        }
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(&spec.name) {
            let have = topic.meta().partitions;
            if have == spec.partitions {
                return Ok(false);
            }
            return Err(LogError::TopicExists { name: spec.name.clone(), have, asked: spec.partitions });
        }
        let have: usize = topics.values().map(|t| t.partitions().len()).sum();
        if have + spec.partitions.unsigned_abs() as usize > self.settings.partitions_max {
            return Err(refuse(format!(
                "all topics together may have {} (partitions_max), and {have} exist",
                self.settings.partitions_max
            )));
        }
        Ok(true)
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<bool, LogError> {
        let mut last_id = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.check_new_topic(spec)? {
            return Ok(false);
        }
        let id = self.clock.now().micros().unsigned_abs().max(*last_id + 1);
        let forever = |r: Duration| i64::try_from(r.as_millis()).unwrap_or(-1);
        let meta = TopicMeta { name: spec.name.clone(), id, partitions: spec.partitions, retention_ms: spec.retention.map(forever) };
        let staged = self.folder.join(STAGING_FOLDER).join(&spec.name);
        let home = self.folder.join(TOPICS_FOLDER).join(&spec.name);
        let laid_out = Topic::lay_out(&staged, &meta)
            .and_then(|()| fs::rename(&staged, &home).during("create folder", &home))
            .and_then(|()| sealed::sync_folder_of(&home));
        if laid_out.is_err() {
            let _ = fs::remove_dir_all(&staged);
        }
        laid_out?;
        *last_id = id;
        let topic = Arc::new(Topic::open(&home, &self.settings)?);
        self.topics.write().unwrap_or_else(PoisonError::into_inner).insert(spec.name.clone(), topic);
        Ok(true)
    }

    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let _admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = self.topic(name)?;
        let home = self.folder.join(TOPICS_FOLDER).join(name);
        let away = self.folder.join(DELETED_FOLDER).join(topic.meta().id.to_string());
        fs::rename(&home, &away).during("delete folder", &home)?;
        self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        topic.close_deleted();
        sealed::sync_folder_of(&home)?;
        // The topic is gone; what is left of its files is removed at the next start at the latest.
        if let Err(error) = fs::remove_dir_all(&away) {
            tracing::warn!(folder = %away.display(), %error, "a deleted topic's files could not be removed yet");
        }
        Ok(())
    }

    fn enforce_retention(&self) -> Result<u64, LogError> {
        let now = self.clock.now();
        let mut bytes = 0;
        for topic in self.all_topics() {
            let Some(retention) = topic.retention(self.settings.retention()) else {
                continue;
            };
            for partition in topic.partitions() {
                bytes += partition.remove_before(now.minus(retention))?;
            }
        }
        Ok(bytes)
    }
}

impl Log {
    /// Runs `work` on about `bytes` of segments: a little where it is asked for, else as [`blocking`] does.
    pub(crate) async fn at_disk<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        self.shared.brief.work(bytes, work).await.map_err(|_| LogError::Stopped)?
    }
}

/// Runs `work` on a blocking thread. It is carried out to its end, whoever waits for it.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, LogError>
where
    T: Send + 'static,
    E: Into<LogError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(LogError::Stopped),
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Cluster {
    id: String,
}

fn cluster_id(path: &Path, clock: &dyn Clock) -> Result<String, LogError> {
    if let Some(Cluster { id }) = sealed::read(path, CLUSTER_FILE_VERSION)? {
        return Ok(id);
    }
    let id = format!("millstream-{:x}", clock.now().micros());
    sealed::write(path, CLUSTER_FILE_VERSION, &Cluster { id: id.clone() })?;
    Ok(id)
}

fn lock_folder(folder: &Path) -> Result<File, LogError> {
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).during("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse(folder.to_owned())),
        Err(TryLockError::Error(e)) => Err(LogError::io("lock", &path, e)),
    }
}

#[cfg(test)]
mod tests;
