//! The ports: everything outside of the process, and everything that keeps state, as traits.
//!
//! A port is a role noun, its doc comment is the contract, and `testkit` holds one contract suite for each. All methods may be
//! called concurrently; every future is safe to drop: a dropped write has happened wholly or not at all.

mod checkpoint_store;
mod clock;
mod critical_store;
mod event_log;
mod event_store;
mod lake_store;
mod reference_source;
mod report_store;
mod schema_registry;
mod spill_store;
mod system_property;
mod system_store;
mod topic_sink;

pub use checkpoint_store::CheckpointStore;
pub use clock::{Clock, SystemClock};
pub use critical_store::{CriticalLoader, CriticalRow, CriticalStore};
pub use event_log::{EventLog, LogBounds, NewRecord, ReadOutcome, Record, TopicInfo, TopicSpec};
pub use event_store::{
    Bound, ChangeFeed, EpochSink, EpochWrite, EventStore, FeedPage, FeedPosition, Isolation, Page, PageToken, PartitionQuery, Scan,
    StoreSnapshot, VERSION_COLUMN,
};
pub use lake_store::LakeStore;
pub use reference_source::ReferenceSource;
pub use report_store::{Publication, Published, ReportSnapshot, ReportStore};
pub use schema_registry::SchemaRegistry;
pub use spill_store::{SpillFile, SpillStore, SpillWriter};
pub use system_property::SystemProperty;
pub use system_store::{DeadLetter, JobRun, JobRunState, LateRow, Quarantined, RUNS_KEPT, SystemStore};
pub use topic_sink::{TopicOutput, TopicSink, ValueFormat};
