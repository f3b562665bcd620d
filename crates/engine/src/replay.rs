//! Replay: dead letters and late rows get their second chance.
//!
//! A dead letter is published again, as it was or repaired, directed by a header to the flows that it is dead for: no other flow takes it twice.
//! A late row can't be published again, it would be late again: the windows that it missed are aggregated anew from the log, with it, and
//! written over what stands there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use millstream_core::ports::{DeadLetter, LateRow, NewRecord, Quarantined, SystemProperty};
use millstream_core::status::FlowPhase;
use millstream_core::{Error, FlowId, Offset, Result, RowPosition, TopicPartition};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::flow::FlowCommand;
use crate::source::DIRECTED_HEADER;

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
    #[serde(alias = "value_text")]
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

/// A replay that was begun: kept until its dead letters are released, so that a death in between doubles nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Pending {
    /// The ends of the partitions before anything was published.
    ends: BTreeMap<String, Vec<i64>>,
}

/// Where a dead letter was that was replayed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    partition: i32,
    offset: i64,
    /// Its source; `None`: written when sources were not told apart, so that it may be any.
    #[serde(default)]
    source: Option<String>,
}

/// The dead letters of a flow that were replayed: a system property, as a JSON array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Replayed(BTreeSet<Place>);

impl Replayed {
    fn add(&mut self, source: &str, position: RowPosition) {
        self.0.insert(Place { partition: position.partition, offset: position.offset, source: Some(source.to_owned()) });
    }

    /// Whether the dead letter of this place was.
    pub(crate) fn has(&self, source: &str, position: RowPosition) -> bool {
        let mut place = Place { partition: position.partition, offset: position.offset, source: None };
        self.0.contains(&place) || {
            place.source = Some(source.to_owned());
            self.0.contains(&place)
        }
    }
}

/// One event that is dead for some flows.
struct Event {
    topic: String,
    position: RowPosition,
    key: Option<Bytes>,
    value: Option<Bytes>,
    letters: Vec<DeadLetter>,
}

impl Engine {
    /// Publishes dead letters again, each to the flows that it is dead for.
    pub async fn replay_dead_letters(&self, request: ReplayRequest) -> Result<ReplayOutcome> {
        self.refuse_unknown_flow(&request)?;
        let events = self.events_to_replay(&request).await?;
        let done_before = self.published_before().await?;
        let mut pending = Pending::default();
        for topic in events.iter().map(|e| e.topic.clone()).collect::<BTreeSet<_>>() {
            pending.ends.insert(topic.clone(), self.ends(&topic).await?);
        }
        let mut outcome = ReplayOutcome::default();
        if done_before.is_empty() {
            self.ports.system.set_property(SystemProperty::ReplayPending, &serde_json::to_string(&pending)?).await?;
        }
        for event in events {
            if !done_before.contains(&(event.topic.clone(), event.position)) {
                let flows = event.letters.iter().map(|l| l.flow.as_str()).collect::<Vec<_>>().join(",");
                let of = format!("{}/{}", event.position.partition, event.position.offset);
                let headers = vec![(DIRECTED_HEADER.to_owned(), Some(flows.into())), (REPLAY_OF_HEADER.to_owned(), Some(of.into()))];
                let record = NewRecord { timestamp: None, key: event.key, value: event.value, headers };
                self.ports.log.append(&TopicPartition::new(event.topic, event.position.partition), vec![record]).await?;
                outcome.published += 1;
            }
            for letter in &event.letters {
                self.remember_replayed(letter).await?;
            }
            outcome.released += event.letters.len();
            self.ports.system.release(&Quarantined { dead_letters: event.letters, late_rows: Vec::new() }).await?;
        }
        self.ports.system.set_property(SystemProperty::ReplayPending, "").await?;
        Ok(outcome)
    }

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

    /// The dead letters that `request` names, by event.
    async fn events_to_replay(&self, request: &ReplayRequest) -> Result<Vec<Event>> {
        let mut repaired: HashMap<(i32, i64), Vec<usize>> = HashMap::new();
        for (number, event) in request.repaired.iter().enumerate() {
            repaired.entry((event.partition, event.offset)).or_default().push(number);
        }
        // The topic that each repaired event is published to.
        let mut topics: BTreeMap<usize, String> = BTreeMap::new();
        let mut events: BTreeMap<(String, RowPosition), Event> = BTreeMap::new();
        for letter in self.ports.system.dead_letters().await? {
            if request.flow.as_ref().is_some_and(|f| f != letter.flow.as_str()) {
                continue;
            }
            let place = (letter.position.partition, letter.position.offset);
            let number = repaired.get(&place).into_iter().flatten().copied().find(|number| request.repaired[*number].is_for(&letter));
            let new = number.map(|number| &request.repaired[number]);
            // An event without key and value says nothing: most likely its topic no longer held it.
            let is_empty = letter.key.is_none() && letter.value.is_none();
            if new.is_none() && (is_empty || !request.repaired.is_empty()) {
                continue;
            }
            let Some(topic) = self.topic_of(&letter.source) else {
                return Err(Error::unsupported(format!(
                    "a dead letter of flow {} comes from the feed of {}: correct the event in its topic, or rebuild the table with `millstream reset`",
                    letter.flow, letter.source
                )));
            };
            if let Some(other) = number.and_then(|number| topics.insert(number, topic.clone())).filter(|other| *other != topic) {
                return Err(Error::invalid(format!(
                    "topics {other} and {topic} both have a dead letter at partition {} offset {}: name the source of the repaired event; nothing was replayed",
                    place.0, place.1
                )));
            }
            let event = events.entry((topic.clone(), letter.position)).or_insert_with(|| Event {
                topic,
                position: letter.position,
                key: letter.key.clone(),
                value: new.map_or_else(|| letter.value.clone(), |r| Some(Bytes::from(r.value.clone()))),
                letters: Vec::new(),
            });
            event.letters.push(letter);
        }
        if let Some((_, unknown)) = request.repaired.iter().enumerate().find(|(number, _)| !topics.contains_key(number)) {
            let of = unknown.source.as_ref().map(|source| format!(" of {source}")).unwrap_or_default();
            return Err(Error::not_found(format!(
                "there is no dead letter{of} at partition {} offset {}: nothing was replayed",
                unknown.partition, unknown.offset
            )));
        }
        Ok(events.into_values().take(request.limit.unwrap_or(usize::MAX)).collect())
    }

    /// What a replay that died had published: found by its headers in the log.
    async fn published_before(&self) -> Result<BTreeSet<(String, RowPosition)>> {
        let mut done = BTreeSet::new();
        let Some(text) = self.ports.system.property(SystemProperty::ReplayPending).await?.filter(|t| !t.is_empty()) else { return Ok(done) };
        let pending: Pending = serde_json::from_str(&text)?;
        for (topic, ends) in pending.ends {
            for (partition, from) in ends.into_iter().enumerate() {
                let partition = TopicPartition::new(topic.clone(), i32::try_from(partition).unwrap_or(i32::MAX));
                let mut next = Offset(from);
                loop {
                    let read = self.ports.log.read(&partition, next, self.settings.epoch_bytes_max).await?;
                    let of = read
                        .records
                        .iter()
                        .filter_map(|r| r.headers.iter().find(|(n, _)| n == REPLAY_OF_HEADER)?.1.as_deref().and_then(parse_position));
                    done.extend(of.map(|p| (topic.clone(), p)));
                    if read.next == next {
                        break;
                    }
                    next = read.next;
                }
            }
        }
        Ok(done)
    }

    async fn ends(&self, topic: &str) -> Result<Vec<i64>> {
        let topics = self.ports.log.topics().await?;
        let partitions = topics.iter().find(|t| t.name == topic).map_or(0, |t| t.partitions);
        let mut ends = Vec::new();
        for p in 0..partitions {
            ends.push(self.ports.log.bounds(&TopicPartition::new(topic, p)).await?.end.0);
        }
        Ok(ends)
    }

    async fn remember_replayed(&self, letter: &DeadLetter) -> Result<()> {
        let mut all = self.replayed(&letter.flow).await?;
        all.add(&letter.source, letter.position);
        self.ports.system.set_property(SystemProperty::Replayed(&letter.flow), &serde_json::to_string(&all)?).await
    }

    /// The dead letters of `flow` that were replayed.
    pub(crate) async fn replayed(&self, flow: &FlowId) -> Result<Replayed> {
        let text = self.ports.system.property(SystemProperty::Replayed(flow)).await?;
        Ok(text.map(|t| serde_json::from_str(&t)).transpose()?.unwrap_or_default())
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

fn parse_position(text: &[u8]) -> Option<RowPosition> {
    let (partition, offset) = std::str::from_utf8(text).ok()?.split_once('/')?;
    Some(RowPosition { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
}

#[cfg(test)]
mod tests;
