//! The decision: a pipeline and what is there, to what becomes of each flow and table. Pure.

use std::collections::BTreeSet;

use millstream_core::Epoch;
use millstream_pipeline::graph::{Binding, Flow, Pipeline, Table};

use super::facts::{Facts, KnownFlow};
use super::{ChangePlan, FlowPlan, FlowVerdict, TablePlan, TableVerdict};
use crate::flow::checkpoint::Header;
use crate::flow::compatibility::{Fit, fit};
use crate::identity;
use crate::source::{SourcePosition, SourceState};

/// What becomes of everything when `pipeline` runs where `facts` are so.
#[must_use]
pub fn decide(pipeline: &Pipeline, facts: &Facts) -> ChangePlan {
    let tables = tables(pipeline, facts);
    let mut rebuilt: BTreeSet<String> = tables.iter().filter(|t| t.verdict == TableVerdict::Rebuilt).map(|t| t.table.clone()).collect();
    let mut flows: Vec<FlowPlan> = pipeline.flows.iter().map(|flow| judge(pipeline, flow, facts)).collect();
    rebuilt.extend(flows.iter().filter(|f| must_be_rebuilt(f)).filter_map(|f| f.table.clone()));
    // A reset forgets all flows of a table, and rebuilds what is fed from it.
    loop {
        let mut settled = true;
        for (flow, plan) in pipeline.flows.iter().zip(&mut flows) {
            let why = if rebuilt.contains(&flow.target) {
                format!("table {} is rebuilt", flow.target)
            } else if let Some(source) = flow.sources().find(|source| rebuilt.contains(*source)) {
                format!("table {source} is rebuilt, whose changes it reads")
            } else {
                continue;
            };
            if plan.verdict == FlowVerdict::Kept {
                plan.verdict = FlowVerdict::Rebuilt;
                plan.reasons.push(why);
                rebuilt.insert(flow.target.clone());
                settled = false;
            }
        }
        if settled {
            break;
        }
    }
    for (flow, plan) in pipeline.flows.iter().zip(&mut flows) {
        finish(pipeline, flow, facts, plan);
    }
    let gone = facts.flows.iter().filter(|(id, _)| !pipeline.flows.iter().any(|f| f.id == **id));
    flows.extend(gone.map(|(id, known)| FlowPlan {
        flow: id.as_str().to_owned(),
        table: None,
        verdict: FlowVerdict::Removed,
        epoch: epoch(known),
        position: None,
        changes: Vec::new(),
        reasons: Vec::new(),
        command: None,
    }));
    let known = facts.tables.as_ref().is_some_and(|known| !known.is_empty());
    let is_another_pipeline = known && tables.iter().all(|t| matches!(t.verdict, TableVerdict::New | TableVerdict::Removed));
    ChangePlan { flows, tables, is_another_pipeline }
}

fn must_be_rebuilt(plan: &FlowPlan) -> bool {
    matches!(plan.verdict, FlowVerdict::Rebuilt | FlowVerdict::Refused)
}

/// The command that rebuilds `table` as the new pipeline has it: without the pipeline's path it would be the old one's.
fn reset(table: &str) -> Option<String> {
    Some(format!("millstream reset {table} --pipeline PATH"))
}

fn epoch(known: &KnownFlow) -> Option<Epoch> {
    known.newest.as_ref().map(|(epoch, _)| *epoch)
}

fn tables(pipeline: &Pipeline, facts: &Facts) -> Vec<TablePlan> {
    let known = facts.tables.clone().unwrap_or_default();
    let now = identity::describe(pipeline);
    let mut plans = Vec::new();
    for (part, is) in &now {
        let Some(name) = part.strip_prefix("table ") else { continue };
        let written = pipeline.tables.get(name).is_some_and(is_written);
        let (verdict, was) = match known.get(part) {
            None => (TableVerdict::New, None),
            Some(was) if was == is => (TableVerdict::Kept, None),
            Some(was) if written => (TableVerdict::Rebuilt, Some(was.clone())),
            Some(was) => (TableVerdict::Changed, Some(was.clone())),
        };
        let differs = was.is_some().then(|| is.clone());
        let command = (verdict == TableVerdict::Rebuilt).then(|| reset(name)).flatten();
        plans.push(TablePlan { table: name.to_owned(), verdict, was, is: differs, command });
    }
    for (part, was) in known.iter().filter(|(part, _)| !now.contains_key(*part)) {
        let Some(name) = part.strip_prefix("table ") else { continue };
        plans.push(TablePlan { table: name.to_owned(), verdict: TableVerdict::Removed, was: Some(was.clone()), is: None, command: None });
    }
    plans
}

/// Whether the pipeline writes it.
fn is_written(table: &Table) -> bool {
    match &table.binding {
        Binding::EventStore | Binding::Critical(_) | Binding::Report | Binding::Lake => true,
        Binding::Topic(topic) => topic.output.is_some(),
        Binding::ExistingTable | Binding::Reference(_) => false,
    }
}

/// What becomes of `flow`, its table and its source left aside.
fn judge(pipeline: &Pipeline, flow: &Flow, facts: &Facts) -> FlowPlan {
    let mut plan = FlowPlan {
        flow: flow.id.as_str().to_owned(),
        table: Some(flow.target.clone()),
        verdict: FlowVerdict::New,
        epoch: None,
        position: None,
        changes: Vec::new(),
        reasons: Vec::new(),
        command: None,
    };
    let Some(known) = facts.flows.get(&flow.id) else { return plan };
    plan.epoch = epoch(known);
    if known.unreadable > 0 {
        plan.reasons.push(format!("{} of its newest checkpoints can't be read", known.unreadable));
    }
    let Some((newest, header)) = &known.newest else {
        plan.verdict = FlowVerdict::Rebuilt;
        plan.reasons.push("there is no checkpoint that can be read".to_owned());
        return plan;
    };
    let is_cache = matches!(pipeline.tables.get(&flow.target).map(|t| &t.binding), Some(Binding::Critical(_)));
    plan.verdict = match fit(header, flow, is_cache) {
        Fit::Same => FlowVerdict::Kept,
        Fit::BehindState(changes) => {
            plan.reasons.extend(header.made_of.as_ref().map(|_| {
                format!(
                    "if the process died before epoch {newest} was committed, start it with the query that it had first: that finishes it"
                )
            }));
            plan.changes = changes;
            FlowVerdict::Kept
        }
        Fit::Another(changes) => {
            plan.changes = changes;
            FlowVerdict::Rebuilt
        }
        Fit::Unknown => {
            plan.reasons.push("an earlier program wrote its checkpoint, and whether the query is the same can't be told".to_owned());
            FlowVerdict::Rebuilt
        }
    };
    if let (Some(was), Some(is)) = (&known.log, &facts.log)
        && was != is
        && topics_of(pipeline, flow).next().is_some()
    {
        plan.reasons.push(format!("its place is in the log {was}, and topics are in the log {is} now"));
        plan.verdict = FlowVerdict::Rebuilt;
    }
    if plan.verdict == FlowVerdict::Kept {
        plan.reasons.extend(added_partitions(pipeline, flow, facts, header));
    }
    let lost = out_of_log(pipeline, flow, facts, header);
    if plan.verdict == FlowVerdict::Kept && !lost.is_empty() {
        plan.reasons.extend(lost);
        plan.verdict = FlowVerdict::Refused;
    }
    plan
}

/// The topics that `flow` reads, by their names on the broker, with their numbers among its sources.
fn topics_of<'a>(pipeline: &'a Pipeline, flow: &'a Flow) -> impl Iterator<Item = (usize, &'a str)> {
    flow.sources().enumerate().filter_map(|(number, source)| match pipeline.tables.get(source).map(|t| &t.binding) {
        Some(Binding::Topic(topic)) => Some((number, topic.name.as_str())),
        _ => None,
    })
}

/// The topics that have got partitions since the flow's checkpoint.
fn added_partitions(pipeline: &Pipeline, flow: &Flow, facts: &Facts, header: &Header) -> Vec<String> {
    let added = topics_of(pipeline, flow).filter_map(|(number, topic)| {
        let (known, present) = (header.source.of_source(number).partitions.len(), facts.topics.get(topic)?.len());
        (known < present).then(|| {
            format!("topic {topic} has {present} partitions, of which it knows {known}: it reads the others from their first record")
        })
    });
    added.collect()
}

/// Where a topic no longer holds, or never held, the place that a flow has come to.
fn out_of_log(pipeline: &Pipeline, flow: &Flow, facts: &Facts, header: &Header) -> Vec<String> {
    let mut lost = Vec::new();
    for (number, topic) in topics_of(pipeline, flow) {
        let Some(bounds) = facts.topics.get(topic) else { continue };
        let known = header.source.of_source(number).partitions.len();
        if known > bounds.len() {
            lost.push(format!("it stands in {known} partitions of topic {topic}, which has {} now", bounds.len()));
        }
        for (p, (state, (first, next))) in header.source.of_source(number).partitions.iter().zip(bounds).enumerate() {
            match state.position {
                SourcePosition::Offset(at) if at < *first => {
                    lost.push(format!("it stands at offset {at} of partition {p}, and topic {topic} begins at {first} there"));
                }
                SourcePosition::Offset(at) if at > *next => {
                    lost.push(format!("it stands at offset {at} of partition {p}, and topic {topic} ends at {next} there"));
                }
                _ => {}
            }
        }
    }
    lost
}

/// Says where a flow goes on or begins, and what to run.
fn finish(pipeline: &Pipeline, flow: &Flow, facts: &Facts, plan: &mut FlowPlan) {
    let known = facts.flows.get(&flow.id).and_then(|k| k.newest.as_ref());
    match plan.verdict {
        FlowVerdict::Kept => plan.position = known.map(|(_, header)| place(flow, &header.source)),
        FlowVerdict::New => plan.position = Some(beginning(pipeline, flow, facts).0),
        FlowVerdict::Rebuilt | FlowVerdict::Refused => {
            let (position, lost) = beginning(pipeline, flow, facts);
            plan.position = Some(position);
            plan.command = reset(&flow.target);
            if lost {
                plan.verdict = FlowVerdict::Refused;
                plan.reasons.push(format!(
                    "its source no longer holds its first events: table {} would be built of those that are left",
                    flow.target
                ));
            }
        }
        FlowVerdict::Removed => {}
    }
}

fn place(flow: &Flow, state: &SourceState) -> String {
    let of_source = |(number, source): (usize, &str)| {
        let state = state.of_source(number);
        let partitions = state.partitions.iter().enumerate().map(|(p, partition)| match &partition.position {
            SourcePosition::Offset(offset) => format!("{p}@{offset}"),
            SourcePosition::Feed(token) => format!("{p}@{token}"),
        });
        format!("{source} {}", partitions.collect::<Vec<_>>().join(" "))
    };
    flow.sources().enumerate().map(of_source).collect::<Vec<_>>().join(", ")
}

/// Where a flow begins, in words, and whether events before that are lost.
fn beginning(pipeline: &Pipeline, flow: &Flow, facts: &Facts) -> (String, bool) {
    let mut lost = Vec::new();
    for (number, topic) in topics_of(pipeline, flow) {
        let bounds = facts.topics.get(topic).into_iter().flatten().enumerate();
        let from: Vec<_> = bounds.filter(|(_, (first, _))| *first > 0).map(|(p, (first, _))| format!("{p}@{first}")).collect();
        if !from.is_empty() {
            lost.push(format!("{}: {}", flow.sources().nth(number).unwrap_or_default(), from.join(" ")));
        }
    }
    if lost.is_empty() {
        return (format!("the beginning of {}", flow.sources().collect::<Vec<_>>().join(" and ")), false);
    }
    (format!("what is left of {}", lost.join(", ")), true)
}
