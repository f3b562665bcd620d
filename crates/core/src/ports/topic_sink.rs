//! [`TopicSink`]: topics that flows write, the way out of box 2 back into box 1.

use std::time::Duration;

use arrow::datatypes::Schema;
use async_trait::async_trait;

use super::event_store::EpochSink;
use crate::decode::protobuf::ProtobufMessage;
use crate::error::Result;
use crate::style::TextStyle;
use crate::table::TableSpec;

/// How a row becomes the value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// One JSON object, as Spark's `to_json` writes it: a null column is left out.
    Json,
    /// One line without a header, as Spark's `to_csv` writes it.
    Csv,
    /// Avro's binary encoding of the table's columns, without a container or a registry's prefix, as Spark's `to_avro` writes it.
    Avro,
    /// One message of this type, as Spark's `to_protobuf` writes it: columns are fields by name.
    Protobuf(Box<ProtobufMessage>),
}

impl ValueFormat {
    /// The word for it in `value.format`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Avro => "avro",
            Self::Protobuf(_) => "protobuf",
        }
    }

    /// What decides what values with these `columns` are, as text. It is stored: it stays as it is.
    #[must_use]
    pub fn description(&self, columns: &Schema) -> String {
        match self {
            Self::Json => "Json".to_owned(),
            Self::Csv => "Csv".to_owned(),
            Self::Avro => "Avro".to_owned(),
            Self::Protobuf(message) => {
                let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
                format!("Protobuf {} ({})", message.name(), message.outline(&names).replace('\n', "; "))
            }
        }
    }
}

/// A topic that a flow writes, and how rows become its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOutput {
    /// The topic's name on the broker.
    pub topic: String,
    /// With how many partitions it is created.
    pub partitions: i32,
    /// How long records are kept; `None`: the broker's default.
    pub retention: Option<Duration>,
    /// What a value is.
    pub format: ValueFormat,
    /// How values are written as text.
    pub style: TextStyle,
    /// The columns that make the key, in order: of one column its plain text, of several a JSON object. None: records have no key.
    pub key_columns: Vec<String>,
}

/// Topics as the target of flows.
///
/// An epoch ([`EpochSink`]) is appended whole: readers that follow Kafka's `read_committed` isolation (KIP-98) see all of its records or
/// none, each once, whatever died in between. Changes are appended in order; a delete is a tombstone of its key, which needs key columns.
/// A record's timestamp is its row's version, cut to the millisecond, and its header `millstream-position` names where it stands in what
/// its flow has written (`flow/attempt/epoch/sequence`). Where a broker has no transactions ([`isolation`](EpochSink::isolation) is then
/// [`Row`](super::Isolation::Row)), records show as they are appended; an epoch that was torn by a crash is finished when it is committed
/// again with the same changes: what stands there already is left out. A double, where the broker took a record after all that it had not
/// acknowledged, has the same flow, epoch and sequence.
#[async_trait]
pub trait TopicSink: EpochSink {
    /// Makes the topic known under the table's name, and creates it where it is absent.
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) shows both when it exists with another number of partitions.
    async fn ensure_topic(&self, spec: &TableSpec, output: &TopicOutput) -> Result<()>;

    /// Removes the topic of `table` with its records, and its flows' epochs; unknown is fine.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where topics are made and deleted by others.
    async fn drop_topic(&self, table: &str, topic: &str) -> Result<()>;
}
