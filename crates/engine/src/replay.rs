//! Replay: dead letters and late rows get their second chance.
//!
//! A dead letter is published again, as it was or repaired, directed by a header to the flows that it is dead for: no other flow takes it twice.
//! A late row can't be published again, it would be late again: the windows that it missed are aggregated anew from the log, with it, and
//! written over what stands there.

mod dead_letters;
mod replayed;

use std::collections::{BTreeMap, BTreeSet};

use millstream_core::ports::{DeadLetter, LateRow};
use millstream_core::status::FlowPhase;
use millstream_core::{Error, FlowId, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::flow::FlowCommand;

/// The header that says which record a replayed one repeats: `partition/offset`.
pub const REPLAY_OF_HEADER: &str = "millstream-replay-of";

/// What to replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRequest {
    /// Only those of this flow.
    pub flow: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Repaired values. When there are some, only these events are replayed.
    pub repaired: Vec<RepairedEvent>,
}

/// A dead letter's new value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairedEvent {
    /// The flow that it is dead for; `None`: all that it is dead for.
    #[serde(default)]
    pub flow: Option<String>,
    /// The table of the topic that it came from; `None`: the only one of which a dead letter has this place.
    #[serde(default)]
    pub source: Option<String>,
    /// Its partition in the source.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// The new value, as text.
    pub value: String,
}

impl RepairedEvent {
    fn is_for(&self, letter: &DeadLetter) -> bool {
        (self.partition, self.offset) == (letter.position.partition, letter.position.offset)
            && self.flow.as_ref().is_none_or(|flow| flow == letter.flow.as_str())
            && self.source.as_ref().is_none_or(|source| *source == letter.source)
    }
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOutcome {
    /// Rows taken from `system.dead_letters` or `system.late_rows`.
    pub released: usize,
    /// Records published again.
    pub published: usize,
    /// Windows aggregated anew.
    pub windows: usize,
}

impl Engine {
    /// Refuses a flow that the pipeline doesn't have: nobody would take what is published for it.
    fn refuse_unknown_flow(&self, request: &ReplayRequest) -> Result<()> {
        let flows: BTreeSet<&str> = self.pipeline.flows.iter().map(|f| f.id.as_str()).collect();
        match request.flow.as_deref().filter(|name| !flows.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let flows = flows.into_iter().collect::<Vec<_>>().join(", ");
                Err(Error::not_found(format!("there is no flow {name}: the flows are {flows}; nothing was replayed")))
            }
        }
    }

    /// Refuses late rows of flows that can never take them, before any flow has taken some.
    fn refuse_late_rows_for_good<'f>(&self, flows: impl Iterator<Item = &'f FlowId> + Clone) -> Result<()> {
        let Some((id, why)) = flows.clone().find_map(|id| Some((id, self.takes_no_late_rows(id)?))) else { return Ok(()) };
        let others: Vec<_> = flows.filter(|id| self.takes_no_late_rows(id).is_none()).map(FlowId::as_str).collect();
        let rest = match others.as_slice() {
            [] => String::new(),
            others => format!("; replay those of the other flows one by one, with --flow: {}", others.join(", ")),
        };
        Err(Error::unsupported(format!("flow {id}: {why}{rest}; nothing was replayed")))
    }

    /// Why the flow can't take late rows, and what to do with its table; `None`: it can.
    fn takes_no_late_rows(&self, id: &FlowId) -> Option<String> {
        let Some(flow) = self.pipeline.flows.iter().find(|f| f.id == *id) else { return Some("the pipeline has no such flow".to_owned()) };
        let table = &flow.target;
        if flow.join.is_some() {
            return Some(format!(
                "it joins streams, and late rows can't be given to a join again yet: rebuild {table} with `millstream reset {table}`, with a longer DELAY OF"
            ));
        }
        let has_key = self.pipeline.tables.get(table).is_some_and(|t| t.spec.key.columns().next().is_some());
        (!has_key).then(|| {
            format!("table {table} only takes new rows, so that no window can be written again: rebuild it with `millstream reset {table}`")
        })
    }

    /// Aggregates the windows that late rows missed anew, with them. The flows must be running.
    pub async fn replay_late_rows(&self, request: ReplayRequest) -> Result<ReplayOutcome> {
        self.refuse_unknown_flow(&request)?;
        let mut outcome = ReplayOutcome::default();
        let all = self.ports.system.late_rows().await?;
        let chosen = all
            .into_iter()
            .filter(|l| request.flow.as_ref().is_none_or(|f| f == l.flow.as_str()))
            .take(request.limit.unwrap_or(usize::MAX));
        let mut by_flow: BTreeMap<FlowId, Vec<LateRow>> = BTreeMap::new();
        chosen.for_each(|late| by_flow.entry(late.flow.clone()).or_default().push(late));
        self.refuse_late_rows_for_good(by_flow.keys())?;
        for (id, rows) in by_flow {
            let commands = self.commands.get(&id).ok_or_else(|| Error::not_found(format!("the pipeline has no flow {id}")))?;
            let (reply, answer) = oneshot::channel();
            outcome.released += rows.len();
            let stopped = || {
                let status = self.monitors.get(&id).map(|monitor| monitor.status(self.ports.clock.now()));
                match status.filter(|status| status.phase == FlowPhase::Failed).and_then(|status| status.last_error) {
                    Some((_, why)) => {
                        Error::unavailable(format!("flow {id} has stopped, and replays no late rows until it runs again: {why}"))
                    }
                    None => Error::unavailable(format!(
                        "flow {id} does not run: late rows are replayed by the running pipeline (`millstream run`)"
                    )),
                }
            };
            if commands.0.is_closed() || !self.is_running() {
                return Err(stopped());
            }
            commands.0.send(FlowCommand::Repair { rows, reply }).await.map_err(|_| stopped())?;
            outcome.windows += answer.await.map_err(|_| stopped())??;
        }
        Ok(outcome)
    }
}
