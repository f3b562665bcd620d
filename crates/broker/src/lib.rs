//! Box 1 of the architecture: the built-in Kafka endpoint. Producers and consumers reach it over the Kafka protocol
//! ([`Server`]); the stream engine reads and appends through core's [`EventLog`](millstream_core::ports::EventLog), which [`Log`]
//! implements. Both share one `Arc<Log>`.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use millstream_broker::{BrokerSettings, Log, Server};
//! # use millstream_core::{Result, ports::SystemClock};
//! # use tokio_util::sync::CancellationToken;
//! # async fn doc(shutdown: CancellationToken) -> Result<()> {
//! let settings = BrokerSettings::default();
//! settings.validate()?;
//! let log = Log::open("data/kafka", settings, Arc::new(SystemClock)).await?;
//! let server = Server::bind(([127, 0, 0, 1], 9092).into(), log.clone()).await?;
//! server.run(shutdown).await
//! # }
//! ```
//!
//! | module | holds | must not know |
//! |---|---|---|
//! | `batch` | Kafka's record batch, version 2: checks, decoding, encoding | files, topics, sockets |
//! | `log` | topics on disk, idempotent producers, committed offsets, retention, recovery | the protocol, sockets |
//! | `wire` | request bytes to requests, responses to bytes, which versions are served | the log, sockets |
//! | `coordinator` | consumer groups as a state machine over observed facts | files, sockets, the clock |
//! | `server` | connections; carries requests out on the log and the coordinator | |
//!
//! # What an acknowledgement means
//!
//! With [`Durability::Process`], the default, an acknowledged record survives the death of the process at any moment: it is in the
//! operating system's page cache. With [`Durability::Fsync`] it survives a power loss too: a flush has covered it before it was
//! acknowledged, or shown to any reader. Producers that wait at the same time share one flush.
//!
//! # What is on the disk
//!
//! ```text
//! FOLDER/lock                                held by the one process that has the log open
//!        cluster, producer-ids               small files
//!        group-offsets                       what consumer groups have committed
//!        staging/, deleted/                  topics on their way in and out: emptied at each start
//!        topics/NAME/topic                   small file: name, id, number of partitions, retention
//!        topics/NAME/PARTITION/OFFSET.log    segments; OFFSET is the first record's, in 20 digits
//! ```
//!
//! All integers are big endian. Every format has a version byte (1 today), and a golden file in the tests.
//!
//! **Segment**: `M S L G`, version byte, three zeros; then record batches, as the producer sent them, but for base offset and
//! partition leader epoch (always 0), which stand outside of the batch's CRC-32C. A batch whose records have no timestamp gets the
//! time of its append (and so another checksum). Offsets run on from batch to batch and from segment to segment without gaps. A
//! segment is flushed before its successor is begun, so only the last one can be torn; when the log is opened, its first batch that
//! is not whole, and what follows, is cut off, unless a whole batch follows: that is damage, and stops the start. Nothing else is
//! stored: the sparse index and the state of idempotent producers are rebuilt from the batch headers.
//!
//! **Small file**: version byte, CRC-32C of the rest, JSON. Written to a file beside it, flushed, renamed, and the folder flushed.
//!
//! **group-offsets**: `M S G O`, version byte, three zeros; then changes, each behind its length (4 bytes) and its CRC-32C (4
//! bytes), as JSON. A torn tail is cut off; the file is rewritten when most of it has been overtaken.
//!
//! A topic is made in `staging` and renamed into `topics`, and deleted by renaming it into `deleted`: it is there wholly or not.
//!
//! # What is not served
//!
//! Transactions, the group protocol of KIP-848, share groups, topic ids, ACLs, SASL and TLS, compaction, and changing a topic's
//! number of partitions. Clients are told so by the versions that ApiVersions offers, or by an error that says what to do.

mod batch;
mod coordinator;
mod log;
mod server;
mod settings;
mod wire;

pub use log::Log;
pub use server::Server;
pub use settings::{BrokerSettings, Durability};
