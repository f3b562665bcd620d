//! Replay of dead letters: each is published once, whatever dies in between.
//!
//! An event is published, its dead letters are remembered as replayed, and then they are released. Before the first one is published, a note says where the
//! topics end. A replay that finds such a note finishes what was begun before it looks at what it is asked for: dead letters whose event stands behind these ends,
//! directed to their flow, are released, and only then the note goes. So none of those that are left was published, whatever is chosen of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use millstream_core::ports::{DeadLetter, NewRecord, Quarantined, Record, SystemProperty};
use millstream_core::{Error, ErrorKind, FlowId, Offset, Result, RowPosition, TopicPartition};
use serde::{Deserialize, Serialize};

use super::{REPLAY_OF_HEADER, RepairedEvent, ReplayOutcome, ReplayRequest};
use crate::engine::Engine;
use crate::source::DIRECTED_HEADER;

/// The note of a replay that has begun.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    /// By topic, the ends of its partitions before anything was published.
    ends: BTreeMap<String, Vec<i64>>,
}

/// A dead letter, and the topic that its event is in; `None`: it came from a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Letter {
    letter: DeadLetter,
    topic: Option<String>,
}

/// A record that a replay has published.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Published {
    /// The flows that it is for.
    flows: Vec<FlowId>,
    value: Option<Bytes>,
}

/// What was published, by the topic and the place of what it repeats.
type PublishedOf = HashMap<(String, RowPosition), Vec<Published>>;

/// A dead letter that an earlier replay had published.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finished {
    letter: DeadLetter,
    topic: String,
    /// As it was published.
    value: Option<Bytes>,
}

/// One event that is dead for some flows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    topic: String,
    position: RowPosition,
    key: Option<Bytes>,
    value: Option<Bytes>,
    letters: Vec<DeadLetter>,
}

impl Engine {
    /// Publishes dead letters again, each to the flows that it is dead for. Of several replays one follows the other.
    pub async fn replay_dead_letters(&self, request: ReplayRequest) -> Result<ReplayOutcome> {
        let _replaying = self.replaying.lock().await;
        self.refuse_unknown_flow(&request)?;
        let letters = self.ports.system.dead_letters().await?.into_iter();
        let letters = letters.map(|letter| Letter { topic: self.topic_of(&letter.source), letter }).collect();
        let (finished, letters) = self.finish_pending(letters).await?;
        let mut outcome = ReplayOutcome { released: finished.len(), ..ReplayOutcome::default() };
        let events = choose(&request, letters, &finished)?;
        if events.is_empty() {
            return Ok(outcome);
        }
        self.note_ends(&events).await?;
        for event in events {
            self.publish(&event).await?;
            outcome.published += 1;
            outcome.released += event.letters.len();
            self.release_replayed(event.letters).await?;
        }
        self.ports.system.set_property(SystemProperty::ReplayPending, "").await?;
        Ok(outcome)
    }

    /// Finishes a replay that was interrupted. Returns the dead letters that it had published, and those that are left.
    async fn finish_pending(&self, letters: Vec<Letter>) -> Result<(Vec<Finished>, Vec<Letter>)> {
        let note = self.ports.system.property(SystemProperty::ReplayPending).await?;
        let Some(note) = note.filter(|note| !note.is_empty()) else { return Ok((Vec::new(), letters)) };
        let pending: Pending =
            serde_json::from_str(&note).map_err(|e| Error::from(e).context("the note of a replay that was interrupted"))?;
        let published = self.published_since(&pending, &letters).await?;
        let (finished, left) = part(letters, &published);
        self.release_replayed(finished.iter().map(|finished| finished.letter.clone()).collect()).await?;
        self.ports.system.set_property(SystemProperty::ReplayPending, "").await?;
        Ok((finished, left))
    }

    /// What was published of `letters` behind the ends that `pending` notes.
    async fn published_since(&self, pending: &Pending, letters: &[Letter]) -> Result<PublishedOf> {
        let places: HashSet<(&str, RowPosition)> = letters.iter().filter_map(|l| Some((l.topic.as_deref()?, l.letter.position))).collect();
        let partitions: BTreeSet<(&str, i32)> = places.iter().map(|(topic, position)| (*topic, position.partition)).collect();
        let mut published = PublishedOf::new();
        for (topic, partition) in partitions {
            let end = pending.ends.get(topic).and_then(|ends| ends.get(usize::try_from(partition).ok()?));
            let Some(end) = end else { continue };
            let mut take = |record: &Record| {
                if let Some((of, copy)) = as_published(record).filter(|(of, _)| places.contains(&(topic, *of))) {
                    published.entry((topic.to_owned(), of)).or_default().push(copy);
                }
            };
            self.each_record(&TopicPartition::new(topic, partition), Offset(*end), &mut take).await?;
        }
        Ok(published)
    }

    /// Hands every record of `partition` from `from` on to `take`.
    async fn each_record(&self, partition: &TopicPartition, from: Offset, take: &mut (dyn FnMut(&Record) + Send)) -> Result<()> {
        let bounds = match self.ports.log.bounds(partition).await {
            // Whatever was published is gone with the topic.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            bounds => bounds?,
        };
        if from < bounds.start {
            // Only the one that was under way can be in doubt: those before it are released.
            tracing::warn!(
                %partition, %from, start = %bounds.start,
                "the topic no longer keeps what an interrupted replay may have published: the event that it was at may be published twice"
            );
        }
        let mut next = from.max(bounds.start);
        while next < bounds.end {
            let read = self.ports.log.read(partition, next, self.settings.epoch_bytes_max).await?;
            read.records.iter().for_each(&mut *take);
            if read.next == next {
                return Err(Error::unavailable(format!(
                    "{partition} can't be read from offset {next} up to its end {}: so it isn't known what an interrupted replay has published; replay again later",
                    bounds.end
                )));
            }
            next = read.next;
        }
        Ok(())
    }

    /// Notes where the topics of `events` end.
    async fn note_ends(&self, events: &[Event]) -> Result<()> {
        let names: BTreeSet<&str> = events.iter().map(|event| event.topic.as_str()).collect();
        let mut pending = Pending::default();
        for topic in self.ports.log.topics().await?.into_iter().filter(|topic| names.contains(topic.name.as_str())) {
            let mut ends = Vec::new();
            for partition in 0..topic.partitions {
                ends.push(self.ports.log.bounds(&TopicPartition::new(&topic.name, partition)).await?.end.0);
            }
            pending.ends.insert(topic.name, ends);
        }
        self.ports.system.set_property(SystemProperty::ReplayPending, &serde_json::to_string(&pending)?).await
    }

    async fn publish(&self, event: &Event) -> Result<()> {
        let flows = event.letters.iter().map(|letter| letter.flow.as_str()).collect::<Vec<_>>().join(",");
        let of = format!("{}/{}", event.position.partition, event.position.offset);
        let headers = vec![(DIRECTED_HEADER.to_owned(), Some(flows.into())), (REPLAY_OF_HEADER.to_owned(), Some(of.into()))];
        let record = NewRecord { timestamp: None, key: event.key.clone(), value: event.value.clone(), headers };
        let partition = TopicPartition::new(&event.topic, event.position.partition);
        self.ports.log.append(&partition, vec![record]).await.map(drop)
    }

    /// Releases dead letters whose event was published. First they are remembered: a verification never misses them.
    async fn release_replayed(&self, dead_letters: Vec<DeadLetter>) -> Result<()> {
        for letter in &dead_letters {
            self.remember_replayed(letter).await?;
        }
        self.ports.system.release(&Quarantined { dead_letters, late_rows: Vec::new() }).await
    }
}

/// The place of what `record` repeats, and for whom; `None`: no replay has published it.
fn as_published(record: &Record) -> Option<(RowPosition, Published)> {
    let header = |name: &str| std::str::from_utf8(record.headers.iter().find(|(n, _)| n == name)?.1.as_deref()?).ok();
    let (partition, offset) = header(REPLAY_OF_HEADER)?.split_once('/')?;
    let of = RowPosition { partition: partition.parse().ok()?, offset: offset.parse().ok()? };
    let flows = header(DIRECTED_HEADER)?.split(',').map(FlowId::new).collect();
    Some((of, Published { flows, value: record.value.clone() }))
}

/// Parts `letters` into those that were `published`, and those that are left. Pure.
fn part(letters: Vec<Letter>, published: &PublishedOf) -> (Vec<Finished>, Vec<Letter>) {
    let (mut finished, mut left) = (Vec::new(), Vec::new());
    for Letter { letter, topic } in letters {
        let copies = topic.as_ref().and_then(|topic| published.get(&(topic.clone(), letter.position)));
        let copy = copies.and_then(|copies| copies.iter().find(|copy| copy.flows.contains(&letter.flow)));
        match (copy, topic) {
            (Some(copy), Some(topic)) => finished.push(Finished { letter, topic, value: copy.value.clone() }),
            (_, topic) => left.push(Letter { letter, topic }),
        }
    }
    (finished, left)
}

/// The repaired events of a request, and for each that has a dead letter the topic that it goes to.
struct Repaired<'r> {
    events: &'r [RepairedEvent],
    by_place: HashMap<(i32, i64), Vec<usize>>,
    topics: BTreeMap<usize, String>,
}

impl<'r> Repaired<'r> {
    fn new(events: &'r [RepairedEvent]) -> Self {
        let mut by_place: HashMap<(i32, i64), Vec<usize>> = HashMap::new();
        for (number, event) in events.iter().enumerate() {
            by_place.entry((event.partition, event.offset)).or_default().push(number);
        }
        Self { events, by_place, topics: BTreeMap::new() }
    }

    /// The number of the one for `letter`, and that one.
    fn of(&self, letter: &DeadLetter) -> Option<(usize, &'r RepairedEvent)> {
        let numbers = self.by_place.get(&(letter.position.partition, letter.position.offset))?;
        numbers.iter().find_map(|number| Some((*number, self.events.get(*number).filter(|event| event.is_for(letter))?)))
    }

    /// Takes it that number `number` goes to `topic`, and refuses that it goes to another one, too.
    fn goes_to(&mut self, number: usize, topic: &str, position: RowPosition) -> Result<()> {
        match self.topics.insert(number, topic.to_owned()).filter(|other| other != topic) {
            None => Ok(()),
            Some(other) => Err(Error::invalid(format!(
                "topics {other} and {topic} both have a dead letter at partition {} offset {}: name the source of the repaired event; nothing was replayed",
                position.partition, position.offset
            ))),
        }
    }

    /// Refuses those that have no dead letter.
    fn refuse_unknown(&self) -> Result<()> {
        let Some((_, unknown)) = self.events.iter().enumerate().find(|(number, _)| !self.topics.contains_key(number)) else {
            return Ok(());
        };
        let of = unknown.source.as_ref().map(|source| format!(" of {source}")).unwrap_or_default();
        Err(Error::not_found(format!(
            "there is no dead letter{of} at partition {} offset {}, or there is none any more because it was replayed: nothing was replayed",
            unknown.partition, unknown.offset
        )))
    }
}

/// The events that `request` names, by topic and place. Of what an earlier replay has `finished` it may name the same values again, and no others: they can't be taken back. Pure.
fn choose(request: &ReplayRequest, letters: Vec<Letter>, finished: &[Finished]) -> Result<Vec<Event>> {
    let asked_for = |letter: &DeadLetter| request.flow.as_ref().is_none_or(|flow| flow == letter.flow.as_str());
    let mut repaired = Repaired::new(&request.repaired);
    for Finished { letter, topic, value } in finished.iter().filter(|finished| asked_for(&finished.letter)) {
        let Some((number, new)) = repaired.of(letter) else { continue };
        repaired.goes_to(number, topic, letter.position)?;
        if value.as_deref() != Some(new.value.as_bytes()) {
            return Err(Error::invalid(format!(
                "a replay that was interrupted had published the event at partition {} offset {} of topic {topic} to flow {} already, with another value, so that it is no dead letter any more: \
                 take it out of the repaired events, and repair what was published if that is a dead letter now; nothing else was replayed",
                letter.position.partition, letter.position.offset, letter.flow
            )));
        }
    }
    // Those for which there is another new value are events of their own.
    let mut events: BTreeMap<(String, RowPosition, Option<usize>), Event> = BTreeMap::new();
    for Letter { letter, topic } in letters.into_iter().filter(|l| asked_for(&l.letter)) {
        let new = repaired.of(&letter);
        // An event without key and value says nothing: most likely its topic no longer held it.
        let is_empty = letter.key.is_none() && letter.value.is_none();
        if new.is_none() && (is_empty || !request.repaired.is_empty()) {
            continue;
        }
        let Some(topic) = topic else {
            return Err(Error::unsupported(format!(
                "a dead letter of flow {} comes from the feed of {}: correct the event in its topic, or rebuild the table with `millstream reset`",
                letter.flow, letter.source
            )));
        };
        if let Some((number, _)) = new {
            repaired.goes_to(number, &topic, letter.position)?;
        }
        let event = events.entry((topic.clone(), letter.position, new.map(|(number, _)| number))).or_insert_with(|| Event {
            topic,
            position: letter.position,
            key: letter.key.clone(),
            value: new.map_or_else(|| letter.value.clone(), |(_, new)| Some(Bytes::from(new.value.clone()))),
            letters: Vec::new(),
        });
        event.letters.push(letter);
    }
    repaired.refuse_unknown()?;
    Ok(events.into_values().take(request.limit.unwrap_or(usize::MAX)).collect())
}

#[cfg(test)]
mod tests;
