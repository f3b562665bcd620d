//! `replay`: set-aside events get their second chance.

use std::path::Path;
use std::process::ExitCode;

use millstream_core::{Error, Result};
use millstream_engine::replay::{RepairedEvent, ReplayRequest};

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
/// others have the same place. So the rows that
/// `millstream sql -e "select * from system.dead_letters" --format json` prints can be edited and given back.
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
            let mut event: serde_json::Value = serde_json::from_str(line).map_err(wrong)?;
            if let Some(value) = event.get_mut("value").filter(|v| v.is_object() || v.is_array()) {
                *value = serde_json::Value::String(value.to_string());
            }
            serde_json::from_value(event).map_err(wrong)
        })
        .collect()
}

#[cfg(test)]
mod tests;
