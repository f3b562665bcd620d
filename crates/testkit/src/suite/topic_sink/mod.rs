//! The contract of [`TopicSink`], with its [`EpochSink`](millstream_core::ports::EpochSink): what a reader finds in the topics.

mod epochs;
mod records;

use std::sync::Arc;
use std::time::Duration;

use millstream_core::encode::EpochPosition;
use millstream_core::ports::{EventLog, Record, TopicOutput, TopicSink, ValueFormat};
use millstream_core::style::TextStyle;
use millstream_core::{Attempt, Epoch, ErrorKind, Offset, TableSpec, TopicPartition};

use super::{suite, woken};
use crate::changes::{Change, Writer, insert};
use crate::check::{CaseResult, refused};
use crate::harness::Harness;
use crate::rows::Row;
use crate::{check, row, tables};
pub use epochs::*;
pub use records::*;

/// What the suite tests, and where a reader looks.
#[derive(Clone)]
pub struct Port {
    /// The sink.
    pub sink: Arc<dyn TopicSink>,
    /// The topics that it writes, as a reader of committed records sees them.
    pub log: Arc<dyn EventLog>,
    /// What the topics' names begin with, on a broker that others use too.
    pub prefix: String,
}

suite!(
    "topic sink",
    Port,
    [
        a_topic_is_made_once,
        unknown_tables_are_not_found,
        records_stand_in_the_order_of_their_changes,
        each_format_is_written_as_its_encoder_writes_it,
        a_key_goes_where_every_producer_puts_it,
        records_without_a_key_go_everywhere,
        a_delete_is_a_tombstone_of_its_key,
        a_delete_without_a_key_is_refused_and_leaves_nothing,
        each_record_names_its_position,
        records_of_others_stay_as_they_are,
        an_epoch_without_rows_counts,
        a_committed_epoch_changes_nothing_when_written_again,
        an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing,
        a_lower_attempt_is_fenced_and_leaves_nothing,
        flows_into_one_topic_have_epochs_of_their_own,
        flows_that_commit_at_the_same_time_lose_nothing,
        a_dropped_commit_is_whole_or_can_be_finished,
        every_record_is_there_once_however_often_its_writer_dies,
        what_was_committed_survives_a_restart,
        drop_topic_removes_records_and_epochs,
    ]
);

/// How many partitions the topics have.
const PARTITIONS: i32 = 3;

/// Versions begin here: a broker may take a time of 1970 for none.
const FIRST_VERSION: i64 = 1_704_067_200_000_000;

/// Row `id` of epoch `epoch` of `flow`.
fn one(flow: &str, epoch: i64, id: i64) -> Row {
    row![flow, epoch, id, format!("{flow}-{epoch}-{id}")]
}

/// The value of that row in JSON.
fn json(flow: &str, epoch: i64, id: i64) -> String {
    format!(r#"{{"flow":"{flow}","epoch":{epoch},"id":{id},"note":"{flow}-{epoch}-{id}"}}"#)
}

fn rows(flow: &str, epoch: i64, count: i64) -> Vec<Row> {
    (0..count).map(|id| one(flow, epoch, id)).collect()
}

fn values(flow: &str, epoch: i64, count: i64) -> Vec<String> {
    (0..count).map(|id| json(flow, epoch, id)).collect()
}

/// Inserts of `rows`, each at a version of its own.
fn changes(rows: &[Row]) -> Vec<Change> {
    (FIRST_VERSION..).step_by(1_001).zip(rows).map(|(version, row)| insert(version, row.clone())).collect()
}

impl Port {
    /// The name of topic `name` on the broker.
    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn output(&self, name: &str, format: ValueFormat, key: &[&str]) -> TopicOutput {
        TopicOutput {
            topic: self.topic(name),
            partitions: PARTITIONS,
            // The records' times are of another year.
            retention: Some(Duration::from_millis(i64::MAX.unsigned_abs())),
            format,
            style: TextStyle::default(),
            key_columns: key.iter().map(|k| (*k).to_owned()).collect(),
        }
    }

    /// What stands in each partition of topic `name`, once there are `count` records: a broker may show a committed epoch a moment later.
    async fn read(&self, name: &str, count: usize) -> CaseResult<Vec<Vec<Record>>> {
        let topic = self.topic(name);
        loop {
            let (mut partitions, mut seen) = (Vec::new(), Vec::new());
            for p in 0..PARTITIONS {
                let at = TopicPartition::new(topic.clone(), p);
                let bounds = self.log.bounds(&at).await?;
                let (mut records, mut next) = (Vec::new(), bounds.start);
                while next < bounds.end {
                    let read = self.log.read(&at, next, 1 << 20).await?;
                    check!(read.next > next, "a read of {at} from {next} goes on");
                    records.extend(read.records);
                    next = read.next;
                }
                partitions.push(records);
                seen.push(next);
            }
            if partitions.iter().map(Vec::len).sum::<usize>() >= count {
                return Ok(partitions);
            }
            woken("a reader of a topic that a flow has written", self.log.wait(&topic, &seen)).await??;
        }
    }

    /// The values of all records, sorted; tombstones are empty.
    async fn values(&self, name: &str, count: usize) -> CaseResult<Vec<String>> {
        let text = |r: &Record| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned();
        let mut all: Vec<String> = self.read(name, count).await?.iter().flatten().map(text).collect();
        all.sort();
        Ok(all)
    }
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

/// The place of each record in its flow's output.
fn positions(partitions: &[Vec<Record>]) -> Vec<Option<EpochPosition>> {
    partitions.iter().flatten().map(|r| EpochPosition::of(&r.headers)).collect()
}

/// A JSON topic `t` with the key `id`, and a writer into it.
async fn keyed(h: &dyn Harness<Port>) -> CaseResult<(Port, TableSpec, Writer)> {
    let spec = tables::topic("t");
    let port = h.open().await?;
    port.sink.ensure_topic(&spec, &port.output("t", ValueFormat::Json, &["id"])).await?;
    let writer = Writer::begin(&*port.sink, &spec, "f", 1).await?;
    Ok((port, spec, writer))
}

async fn restarted(h: &dyn Harness<Port>, port: Port, spec: &TableSpec) -> CaseResult<Port> {
    let port = if h.abilities().keeps_data { h.reopen(port).await? } else { port };
    port.sink.ensure_topic(spec, &port.output(&spec.name, ValueFormat::Json, &["id"])).await?;
    Ok(port)
}

/// Made known again without loss; another number of partitions is refused, and both are shown.
pub async fn a_topic_is_made_once(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut w) = keyed(h).await?;
    w.commit(&*port.sink, &changes(&rows("f", 1, 3))).await?;
    let output = port.output("t", ValueFormat::Json, &["id"]);
    port.sink.ensure_topic(&spec, &output).await?;
    check!(port.values("t", 3).await?.len() == 3, "making it known again leaves its records");
    let other = TopicOutput { partitions: PARTITIONS + 4, ..output };
    let error = refused(port.sink.ensure_topic(&spec, &other).await, ErrorKind::AlreadyExists, "another number of partitions")?;
    for number in [PARTITIONS, PARTITIONS + 4] {
        check!(error.to_string().contains(&number.to_string()), "the error shows both numbers: {error} lacks {number}");
    }
    Ok(())
}

/// An unknown table is `NotFound` in every call.
pub async fn unknown_tables_are_not_found(h: &dyn Harness<Port>) -> CaseResult {
    let (port, _, w) = keyed(h).await?;
    refused(port.sink.begin(&w.flow, Attempt(1), "nope").await, ErrorKind::NotFound, "begin on an unknown table")?;
    let mut write = w.write(Epoch(1), &changes(&rows("f", 1, 1)), 10)?;
    write.table = "nope".to_owned();
    refused(port.sink.commit(write).await, ErrorKind::NotFound, "a commit to an unknown table")?;
    port.sink.drop_topic("nope", &port.topic("nope")).await?;
    Ok(())
}

/// A dropped topic takes everything with it; unknown is fine.
pub async fn drop_topic_removes_records_and_epochs(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut w) = keyed(h).await?;
    for epoch in 1..=3 {
        w.commit(&*port.sink, &changes(&rows("f", epoch, 2))).await?;
    }
    let topic = port.topic("t");
    port.sink.drop_topic("t", &topic).await?;
    port.sink.drop_topic("t", &topic).await?;
    let bounds = port.log.bounds(&TopicPartition::new(topic, 0)).await;
    refused(bounds, ErrorKind::NotFound, "a look at a dropped topic")?;
    port.sink.ensure_topic(&spec, &port.output("t", ValueFormat::Json, &["id"])).await?;
    let empty = port.read("t", 0).await?;
    check!(empty.iter().all(Vec::is_empty), "made again it is empty");
    let mut w = Writer::begin(&*port.sink, &spec, "f", 2).await?;
    check!(w.epoch == Epoch(0), "its flows' epochs are gone (not {})", w.epoch);
    w.commit(&*port.sink, &changes(&rows("f", 1, 1))).await?;
    check!(port.values("t", 1).await? == values("f", 1, 1), "and it takes records again");
    let start = port.log.bounds(&TopicPartition::new(port.topic("t"), 0)).await?.start;
    check!(start == Offset(0), "its offsets begin anew");
    Ok(())
}
