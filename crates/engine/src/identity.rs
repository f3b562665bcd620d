//! What makes a pipeline the one whose data a data directory holds: a description of each of its parts, kept beside the data.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use millstream_core::ports::SystemStore;
use millstream_core::{Error, Result};
use millstream_pipeline::graph::{Binding, Pipeline};

/// The name of the property under which the description is kept.
const PROPERTY: &str = "pipeline";

/// The parts of a pipeline, each as text: `table departures`, `flow departures`, `job carrier_daily`.
pub type Description = BTreeMap<String, String>;

/// Describes `pipeline`. What doesn't change what is stored (refresh intervals, retention, schedules) is left out.
#[must_use]
pub fn describe(pipeline: &Pipeline) -> Description {
    let mut parts = Description::new();
    for (name, table) in &pipeline.tables {
        let binding = match &table.binding {
            Binding::Topic(topic) => {
                let output = topic.output.map_or_else(String::new, |format| format!(", written as {format:?}"));
                let keys = &topic.key_columns;
                format!("; topic {} in {} partitions, {:?}, key columns {keys:?}{output}", topic.name, topic.partitions, topic.mode)
            }
            Binding::Reference(_) => continue,
            Binding::ExistingTable => "; of other services".to_owned(),
            Binding::EventStore | Binding::Critical(_) | Binding::Report | Binding::Lake => String::new(),
        };
        parts.insert(format!("table {name}"), format!("{}{binding}", table.spec.fingerprint()));
    }
    for flow in &pipeline.flows {
        parts.insert(format!("flow {}", flow.id), flow.fingerprint.clone());
    }
    for job in &pipeline.jobs {
        parts.insert(format!("job {}", job.report), job.plan.display_indent().to_string());
    }
    parts
}

/// The parts that `name` stands for: the table or report, its flows and its job.
#[must_use]
pub fn parts_of(pipeline: &Pipeline, name: &str) -> Vec<String> {
    let flows = pipeline.flows.iter().filter(|f| f.target == name).map(|f| format!("flow {}", f.id));
    [format!("table {name}"), format!("job {name}")].into_iter().chain(flows).collect()
}

/// What is different in `now`, one line a part; empty when nothing is.
#[must_use]
pub fn difference(before: &Description, now: &Description) -> String {
    let mut text = String::new();
    for (part, old) in before {
        match now.get(part) {
            None => drop(writeln!(text, "  - {part} is gone: {}", first_line(old))),
            Some(new) if new != old => {
                let _ = writeln!(text, "  ~ {part}");
                let pairs = old.lines().zip(new.lines().chain(std::iter::repeat("")));
                for (was, is) in pairs.filter(|(was, is)| was != is) {
                    let _ = writeln!(text, "      was: {}\n      is:  {}", was.trim(), is.trim());
                }
                for more in new.lines().skip(old.lines().count()) {
                    let _ = writeln!(text, "      is:  {}", more.trim());
                }
            }
            Some(_) => {}
        }
    }
    for (part, new) in now.iter().filter(|(part, _)| !before.contains_key(*part)) {
        let _ = writeln!(text, "  + {part} is new: {}", first_line(new));
    }
    text
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

async fn stored(system: &dyn SystemStore) -> Result<Option<Description>> {
    system.property(PROPERTY).await?.map(|text| Ok(serde_json::from_str(&text)?)).transpose()
}

async fn store(system: &dyn SystemStore, parts: &Description) -> Result<()> {
    system.set_property(PROPERTY, &serde_json::to_string(parts)?).await
}

/// Refuses a pipeline that is not the one whose data is there, with the difference. The first pipeline is taken as it is.
pub async fn claim(system: &dyn SystemStore, pipeline: &Pipeline) -> Result<()> {
    let now = describe(pipeline);
    match stored(system).await? {
        None => store(system, &now).await,
        Some(before) if before == now => Ok(()),
        Some(before) => Err(Error::invalid(format!(
            "the pipeline is not the one whose data this data directory holds:\n{}run the old pipeline, take another data directory, or rebuild what has changed with `millstream reset NAME`",
            difference(&before, &now)
        ))),
    }
}

/// Takes the parts of `name` as they are in `pipeline` now: its data has been removed.
pub async fn accept(system: &dyn SystemStore, pipeline: &Pipeline, name: &str) -> Result<()> {
    let Some(mut before) = stored(system).await? else { return Ok(()) };
    let now = describe(pipeline);
    before.retain(|part, _| part.split_once(' ').is_none_or(|(_, of)| of != name));
    for part in parts_of(pipeline, name) {
        match now.get(&part) {
            Some(text) => drop(before.insert(part, text.clone())),
            None => drop(before.remove(&part)),
        }
    }
    store(system, &before).await
}

#[cfg(test)]
mod tests;
