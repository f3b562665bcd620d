//! Which types ANSI mode casts to which.
//!
//! Source: Spark 4.1, "ANSI Compliance", the table of the section Cast.

use arrow::datatypes::DataType;

/// Types between which Spark casts alike, as far as it casts at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Boolean,
    Number,
    Text,
    Binary,
    Date,
    Timestamp,
    LocalTimestamp,
}

impl Class {
    /// `None` for types whose casts nobody restricts here.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 => Self::Text,
            DataType::Binary => Self::Binary,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(_, Some(_)) => Self::Timestamp,
            DataType::Timestamp(_, None) => Self::LocalTimestamp,
            number if number.is_numeric() => Self::Number,
            _ => return None,
        })
    }

    /// Whether ANSI mode has this cast.
    pub(super) fn becomes(self, to: Self) -> bool {
        use Class::{Binary, Boolean, Date, LocalTimestamp, Number, Text, Timestamp};
        self == to
            || self == Text
            || match to {
                Text => true,
                Boolean => self == Number,
                Number => matches!(self, Boolean | Timestamp),
                Binary => false,
                Date => matches!(self, Timestamp | LocalTimestamp),
                Timestamp => matches!(self, Number | Date | LocalTimestamp),
                LocalTimestamp => matches!(self, Date | Timestamp),
            }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Number => "number",
            Self::Text => "STRING",
            Self::Binary => "BINARY",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::LocalTimestamp => "TIMESTAMP_NTZ",
        }
    }
}
