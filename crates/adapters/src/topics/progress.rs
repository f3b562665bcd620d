//! How far flows have come in the topics that they write: one property of the system store for each table.
//!
//! Format, version 1: JSON, `{"version":1,"flows":{"name":{"attempt":3,"epoch":17,"place":"...","ends":[120,118]}}}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_core::admission::{Admission, FlowProgress};
use millstream_core::ports::{EpochWrite, SystemProperty, SystemStore};
use millstream_core::{Attempt, Epoch, Error, FlowId, Offset, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

const VERSION: u8 = 1;

/// How far a flow has come in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// The highest attempt that began.
    pub(crate) attempt: Attempt,
    /// The last committed epoch; 0 before the first.
    pub(crate) epoch: Epoch,
    /// Which broker holds the topic; empty before the first epoch.
    pub(crate) place: String,
    /// For each partition: what later epochs append stands there, or after it. Empty: not looked at yet.
    pub(crate) ends: Vec<Offset>,
}

impl Progress {
    fn reached(&self) -> FlowProgress {
        FlowProgress { attempt: self.attempt, epoch: self.epoch }
    }

    /// Lets `attempt` begin, unless a later one has.
    pub(crate) fn begin(&mut self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<()> {
        self.attempt = self.reached().begin(flow, attempt, table)?.attempt;
        Ok(())
    }

    /// Refuses to go on at another broker, whose topic has nothing of what was committed.
    pub(crate) fn check_place(&self, flow: &FlowId, table: &str, place: &str) -> Result<()> {
        if self.epoch == Epoch(0) || self.place == place {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "flow {flow} has come to epoch {} of table {table}, whose topic was at {}; now topics are at {place}: run `millstream reset \
             {table}` to build it anew there, or put the configuration back",
            self.epoch, self.place
        )))
    }

    /// Refuses to go on in a topic that ends before what was committed.
    pub(crate) fn check_ends(&self, flow: &FlowId, table: &str, ends: &[Offset]) -> Result<()> {
        match (0..).zip(self.ends.iter().zip(ends)).find(|(_, (known, end))| known > end) {
            None => Ok(()),
            Some((partition, (known, end))) => Err(Error::invalid(format!(
                "partition {partition} of the topic of table {table} ends at {end}, and flow {flow} had come to {known}: the topic has lost \
                 records, or is another one; run `millstream reset {table}` to build it anew, or bring its data back"
            ))),
        }
    }

    /// Whether `write` may be committed.
    pub(crate) fn admit(&self, write: &EpochWrite) -> Result<Admission> {
        self.reached().admit(write)
    }

    /// Whether `attempt` may write.
    pub(crate) fn check_attempt(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<()> {
        self.reached().check_attempt(flow, attempt, table)
    }
}

/// A table's property.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Property {
    version: u8,
    flows: BTreeMap<FlowId, Progress>,
}

/// The progress of all flows into topics.
pub(crate) struct Ledger {
    system: Arc<dyn SystemStore>,
    /// What the store is known to hold, by table.
    known: Mutex<BTreeMap<String, BTreeMap<FlowId, Progress>>>,
}

impl Ledger {
    pub(crate) fn new(system: Arc<dyn SystemStore>) -> Self {
        Self { system, known: Mutex::default() }
    }

    async fn load(&self, table: &str) -> Result<BTreeMap<FlowId, Progress>> {
        let name = SystemProperty::TopicProgress(table);
        let Some(text) = self.system.property(name).await? else { return Ok(BTreeMap::new()) };
        let property: Property = serde_json::from_str(&text).map_err(|e| Error::from(e).context(format!("the property \"{name}\"")))?;
        if property.version != VERSION {
            let found = property.version;
            return Err(Error::corrupt(format!("the property \"{name}\" has format {found}; this program reads format {VERSION}")));
        }
        Ok(property.flows)
    }

    /// How far `flow` has come in the topic of `table`.
    pub(crate) async fn get(&self, table: &str, flow: &FlowId) -> Result<Progress> {
        let mut known = self.known.lock().await;
        if let Some(flows) = known.get(table) {
            return Ok(flows.get(flow).cloned().unwrap_or_default());
        }
        let flows = self.load(table).await?;
        let progress = flows.get(flow).cloned().unwrap_or_default();
        known.insert(table.to_owned(), flows);
        Ok(progress)
    }

    /// Puts down how far it has come; durable when this returns.
    pub(crate) async fn put(&self, table: &str, flow: &FlowId, progress: Progress) -> Result<()> {
        let mut known = self.known.lock().await;
        // Known again once it is stored: a write that fails may have happened all the same.
        let mut flows = match known.remove(table) {
            Some(flows) => flows,
            None => self.load(table).await?,
        };
        flows.insert(flow.clone(), progress);
        let property = Property { version: VERSION, flows };
        self.system.set_property(SystemProperty::TopicProgress(table), &serde_json::to_string(&property)?).await?;
        known.insert(table.to_owned(), property.flows);
        Ok(())
    }

    /// The flows that have come anywhere in the topic of `table`.
    #[cfg(feature = "kafka")]
    pub(crate) async fn flows(&self, table: &str) -> Result<Vec<FlowId>> {
        Ok(self.load(table).await?.into_keys().collect())
    }

    /// Forgets all flows into `table`, but for their attempts: a zombie stays fenced.
    pub(crate) async fn forget(&self, table: &str) -> Result<()> {
        let mut known = self.known.lock().await;
        known.remove(table);
        let mut flows = self.load(table).await?;
        if flows.is_empty() {
            return Ok(());
        }
        flows.values_mut().for_each(|progress| *progress = Progress { attempt: progress.attempt, ..Progress::default() });
        let property = Property { version: VERSION, flows };
        self.system.set_property(SystemProperty::TopicProgress(table), &serde_json::to_string(&property)?).await
    }
}
