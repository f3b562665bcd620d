//! How raw keys and values are written as JSON: `{"utf8": "..."}` where they are text, else `{"hex": "..."}`. Lossless, and readable where it can be.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::value::{format_hex, parse_hex};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Raw {
    Utf8(String),
    Hex(String),
}

/// Writes optional bytes.
pub(crate) fn serialize<S: Serializer>(bytes: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = bytes.as_ref().map(|b| match std::str::from_utf8(b) {
        Ok(text) => Raw::Utf8(text.to_owned()),
        Err(_) => Raw::Hex(format_hex(b)),
    });
    raw.serialize(serializer)
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
    match Option::<Raw>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Raw::Utf8(text)) => Ok(Some(text.into())),
        Some(Raw::Hex(digits)) => parse_hex(&digits).map(|b| Some(b.into())).ok_or_else(|| D::Error::custom("not hexadecimal digits")),
    }
}
