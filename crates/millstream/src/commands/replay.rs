//! `replay`: set-aside events get their second chance.

use std::path::Path;
use std::process::ExitCode;

use millstream_core::{Error, Result};
use millstream_engine::replay::{RepairedEvent, ReplayRequest};
use serde_json::{Map, Value};

use super::ask;
use crate::cli::{ReplayArgs, ReplayWhat};
use crate::control::Request;

/// Replays dead letters or late rows.
pub fn run(what: ReplayWhat) -> Result<ExitCode> {
    match what {
        ReplayWhat::DeadLetters { file, replay } => {
            let repaired = file.as_deref().map(read_repaired).transpose()?.unwrap_or_default();
            let (place, replay) = request(replay, repaired);
            ask::run(&place, Request::ReplayDeadLetters { replay })
        }
        ReplayWhat::LateRows { replay } => {
            let (place, replay) = request(replay, Vec::new());
            ask::run(&place, Request::ReplayLateRows { replay })
        }
    }
}

fn request(args: ReplayArgs, repaired: Vec<RepairedEvent>) -> (crate::cli::PlaceArgs, ReplayRequest) {
    (args.place, ReplayRequest { flow: args.flow, limit: args.limit, repaired })
}

fn read_repaired(path: &Path) -> Result<Vec<RepairedEvent>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::from(e).context(format!("the repaired events {} can't be read", path.display())))?;
    let events = parse_repaired(&text).map_err(|e| e.context(path.display()))?;
    if events.is_empty() {
        return Err(Error::invalid(format!("{} holds no repaired events: write one JSON object a line", path.display())));
    }
    Ok(events)
}

/// One event a line: `{"partition": 0, "offset": 17, "value": ...}` with the value as an object, or as text, and `flow` and `source` where
/// others have the same place. So the rows that `millstream sql -e "select * from system.dead_letters" --format json` prints can be given back once
/// their `value_text` was edited.
fn parse_repaired(text: &str) -> Result<Vec<RepairedEvent>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let wrong = |e: serde_json::Error| {
                Error::invalid(format!(
                    "line {}: not a repaired event like {{\"partition\": 0, \"offset\": 17, \"value\": {{...}}}}",
                    index + 1
                ))
                .caused_by(e)
            };
            let mut event: Map<String, Value> = serde_json::from_str(line).map_err(wrong)?;
            let (value, text) = (event.remove("value"), event.remove("value_text"));
            let value = new_value(value, text).map_err(|why| Error::invalid(format!("line {}: {why}", index + 1)))?;
            event.extend(value.map(|value| ("value".to_owned(), value)));
            serde_json::from_value(Value::Object(event)).map_err(wrong)
        })
        .collect()
}

/// The new value of a line with this `value` and `value_text`, of which a printed row has both: what stood there as hexadecimal digits, and as text where it is text.
/// Pure.
fn new_value(value: Option<Value>, text: Option<Value>) -> Result<Option<Value>, &'static str> {
    let as_text = |value: Value| match value {
        Value::Null => None,
        Value::Object(_) | Value::Array(_) => Some(Value::String(value.to_string())),
        value => Some(value),
    };
    let is_printed = text.is_some();
    match (value.and_then(as_text), text.and_then(as_text)) {
        (Some(value), None) if is_printed && is_hex(&value) => {
            Err("its \"value\" is what stood there, as hexadecimal digits: write the new value into \"value_text\"")
        }
        (Some(value), Some(text)) if value != text && !is_hex(&value) => {
            Err("\"value\" and \"value_text\" differ: leave one of them, the new value")
        }
        (value, text) => Ok(text.or(value)),
    }
}

fn is_hex(value: &Value) -> bool {
    value.as_str().is_some_and(|digits| digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
