//! Topics as the target of flows, on any [`EventLog`](millstream_core::ports::EventLog) that appends a batch whole and knows no
//! transactions: the built-in one, and Event Hubs.
//!
//! How far a flow has come is kept in the system store, beside the checkpoints ([`progress`]); what stands in the topic of an epoch that
//! was torn is found by the header of its records ([`standing`]). Knows no broker, and no engine.

mod encoding;
mod finishing;
mod outputs;
mod progress;
mod sink;
mod standing;

#[cfg(feature = "kafka")]
pub(crate) use encoding::records_of;
pub use finishing::FinishingTopicSink;
#[cfg(feature = "kafka")]
pub(crate) use outputs::{Outputs, topic_spec};
#[cfg(feature = "kafka")]
pub(crate) use progress::{Ledger, Progress};
pub use sink::{LogTopicSink, LogTopics};
