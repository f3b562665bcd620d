//! What makes a table the one whose rows are there: a description of each of a pipeline's tables, kept beside the data.
//!
//! What flows were made by, their checkpoints say; what a report was made by doesn't matter, for its next run makes all of it anew.

use std::collections::BTreeMap;

use millstream_core::Result;
use millstream_core::ports::{SystemProperty, SystemStore};
use millstream_pipeline::graph::{Binding, Pipeline};

/// The parts of a pipeline, each as text: `table departures`. Earlier programs kept flows and jobs here too.
pub type Description = BTreeMap<String, String>;

/// Describes the tables of `pipeline`. What doesn't change what is stored (refresh intervals, retention) is left out.
#[must_use]
pub fn describe(pipeline: &Pipeline) -> Description {
    let mut parts = Description::new();
    for (name, table) in &pipeline.tables {
        let binding = match &table.binding {
            Binding::Topic(topic) => {
                let output = topic
                    .output
                    .as_ref()
                    .map_or_else(String::new, |format| format!(", written as {}", format.description(&table.spec.schema)));
                let keys = &topic.key_columns;
                format!("; topic {} in {} partitions, {:?}, key columns {keys:?}{output}", topic.name, topic.partitions, topic.mode)
            }
            Binding::Reference(_) => continue,
            Binding::ExistingTable => "; of other services".to_owned(),
            Binding::EventStore | Binding::Critical(_) | Binding::Report | Binding::Lake => String::new(),
        };
        parts.insert(format!("table {name}"), format!("{}{binding}", table.spec.fingerprint()));
    }
    parts
}

/// The tables that are there.
pub async fn stored(system: &dyn SystemStore) -> Result<Option<Description>> {
    let Some(text) = system.property(SystemProperty::Pipeline).await? else { return Ok(None) };
    let mut parts: Description = serde_json::from_str(&text)?;
    parts.retain(|part, _| part.starts_with("table "));
    Ok(Some(parts))
}

/// Remembers the tables of `pipeline` beside those of `before`: rows of a table that is gone are still there, and may come back into use.
pub async fn remember(system: &dyn SystemStore, pipeline: &Pipeline, before: Option<Description>) -> Result<()> {
    let mut parts = before.clone().unwrap_or_default();
    parts.extend(describe(pipeline));
    if before.as_ref() == Some(&parts) {
        return Ok(());
    }
    system.set_property(SystemProperty::Pipeline, &serde_json::to_string(&parts)?).await
}

/// Takes the table `name` as it is in `pipeline` now: its data has been removed.
pub async fn accept(system: &dyn SystemStore, pipeline: &Pipeline, name: &str) -> Result<()> {
    let Some(mut parts) = stored(system).await? else { return Ok(()) };
    let part = format!("table {name}");
    match describe(pipeline).remove(&part) {
        Some(text) => drop(parts.insert(part, text)),
        None => drop(parts.remove(&part)),
    }
    system.set_property(SystemProperty::Pipeline, &serde_json::to_string(&parts)?).await
}
