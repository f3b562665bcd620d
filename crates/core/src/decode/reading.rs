//! What the options of a topic say of its records: [`Reading`].

use super::avro::AvroSchemas;
use super::protobuf::ProtobufMessage;
use crate::style::{CsvStyle, TimeFormats};

/// How the records of a topic become rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What a value is.
    pub format: ReadFormat,
    /// What a value becomes that isn't a row of the topic's columns.
    pub mode: ParseMode,
    /// In [`ParseMode::Permissive`], the STRING column that gets the value of a record that wasn't wholly a row; it is no part of the value.
    pub corrupt_record: Option<String>,
    /// Columns that the key of a tombstone gives: a JSON object, or for one column a plain value.
    pub key_columns: Vec<String>,
}

/// What the value of a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFormat {
    /// One JSON object.
    Json(TimeFormats),
    /// One line of CSV.
    Csv(CsvStyle, TimeFormats),
    /// One record in Avro's binary encoding.
    Avro(AvroSchemas),
    /// One Protobuf message.
    Protobuf {
        /// Its type.
        message: Box<ProtobufMessage>,
        /// `emit.default.values`: whether a field without presence that is left out is zero, and not null.
        defaults: bool,
    },
}

impl Default for ReadFormat {
    fn default() -> Self {
        Self::Json(TimeFormats::default())
    }
}

impl ReadFormat {
    /// The word for it in `value.format`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Csv(..) => "csv",
            Self::Avro(_) => "avro",
            Self::Protobuf { .. } => "protobuf",
        }
    }

    /// The patterns of its times.
    #[must_use]
    pub fn times(&self) -> TimeFormats {
        match self {
            Self::Json(times) | Self::Csv(_, times) => times.clone(),
            Self::Avro(_) | Self::Protobuf { .. } => TimeFormats::default(),
        }
    }
}

/// What becomes of a value that isn't a row of the topic's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParseMode {
    /// The row goes to `system.dead_letters`.
    #[default]
    DeadLetter,
    /// Spark's `PERMISSIVE`: what can't be read is null.
    Permissive,
}
