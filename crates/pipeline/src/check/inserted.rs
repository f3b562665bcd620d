//! Which event-store tables hold rows that are inserted once and never change: what an adapter may leave out there (a tombstone for each
//! null) depends on it. Known of a table whose one flow makes each row of one record, without anything that may differ when it is made
//! again (windows, reference data), under a key that names the record.

use std::collections::BTreeSet;

use super::{keys, lineage};
use crate::graph::{Binding, Flow, Pipeline};
use lineage::Origin;

/// The columns of a topic that together name a record.
const RECORD: [&str; 2] = ["_partition", "_offset"];

/// The event-store tables of `pipeline` whose rows are inserted once and never change.
pub(crate) fn once(pipeline: &Pipeline) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    // A table may be fed by another, which may stand behind it in the text: until nothing is found any more.
    loop {
        let is_new = |name: &&String| !known.contains(*name) && is_inserted_once(pipeline, name, &known);
        let found: Vec<String> = pipeline.tables.keys().filter(is_new).cloned().collect();
        if found.is_empty() {
            return known;
        }
        known.extend(found);
    }
}

fn is_inserted_once(pipeline: &Pipeline, name: &str, known: &BTreeSet<String>) -> bool {
    let Some(table) = pipeline.tables.get(name).filter(|t| matches!(t.binding, Binding::EventStore)) else { return false };
    let mut flows = pipeline.flows.iter().filter(|f| f.target == name);
    let (Some(flow), None) = (flows.next(), flows.next()) else { return false };
    if flow.window.is_some() || flow.join.is_some() || !flow.references.is_empty() {
        return false;
    }
    let Some(source) = pipeline.tables.get(&flow.source) else { return false };
    match &source.binding {
        // A tombstone deletes a row, by its own key.
        Binding::Topic(topic) if topic.output.is_none() && topic.key_columns.is_empty() => {
            RECORD.iter().all(|column| is_in_key(flow, &table.spec, column))
        }
        Binding::EventStore => known.contains(&flow.source) && keys::base_positions(&flow.plan, &source.spec, &table.spec).is_some(),
        _ => false,
    }
}

/// Whether the source's `column` stands, unchanged, in the key of `spec`.
fn is_in_key(flow: &Flow, spec: &millstream_core::TableSpec, column: &str) -> bool {
    let wanted = Origin::Column { table: flow.source.clone(), column: column.to_owned() };
    spec.key.columns().any(|key| {
        let output = spec.schema.index_of(key).ok();
        output.is_some_and(|output| lineage::origin(&flow.plan, output).as_ref() == Some(&wanted))
    })
}
