//! How long an event takes from the producer through a pipeline to a consumer of what became of it.
//!
//! `cargo run --example latency -- BOOTSTRAP IN RATE EVENTS PERIOD OUT=counts|rows ...` produces events to the topic `IN`, so many a second (0: as many as
//! it can), and consumes the topics `OUT` meanwhile. An event is `{"id":..., "ts":..., "k":...}`, its key is `k`. With `rows`, the pipeline is expected to
//! write a record with `id` for each event; with `counts`, a record with `k` and `n` whenever the count of a `k` has changed: an event is visible when
//! a count is that takes it in. The first fifth of the events warms everything up and isn't counted in the whole.
//!
//! It prints a line of JSON for each output, in milliseconds, and one for each every `PERIOD` seconds, if that isn't 0, of what became visible since the one
//! before. `seconds` is the time since the first event was sent.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and measures by the machine's own clock")]

mod histogram;
mod pending;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use histogram::Histogram;
use pending::{KEYS, Pending};

/// After the last event, what became of it is waited for at most so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// An output: its topic, and what is expected there.
struct Output {
    topic: String,
    what: String,
    /// How many events have become visible.
    seen: usize,
    whole: Histogram,
    period: Histogram,
}

/// What each output still owes, in their order.
type Owed = Arc<Mutex<Vec<Pending>>>;

fn locked(owed: &Owed) -> MutexGuard<'_, Vec<Pending>> {
    owed.lock().unwrap_or_else(PoisonError::into_inner)
}

fn produce(bootstrap: &str, topic: &str, rate: usize, events: usize, owed: &Owed) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("linger.ms", "0").set("acks", "all").create()?;
    let began = Instant::now();
    let mut id = 0;
    while id < events {
        let elapsed_us = usize::try_from(began.elapsed().as_micros())?;
        let due = if rate == 0 { events } else { elapsed_us.saturating_mul(rate) / 1_000_000 };
        while id < due.min(events) {
            // Event time goes with the events, of which there are a million a second where no rate is asked for.
            let micros = id.saturating_mul(1_000_000).checked_div(rate).unwrap_or(id);
            let ts = chrono::DateTime::from_timestamp_micros(1_704_067_200_000_000 + i64::try_from(micros)?).context("no such time")?;
            let key = format!("k{}", id % KEYS);
            let value = format!(r#"{{"id":{id},"ts":"{}","k":"{key}"}}"#, ts.format("%Y-%m-%dT%H:%M:%S%.6fZ"));
            let now = Instant::now();
            locked(owed).iter_mut().for_each(|pending| pending.add(id, now));
            while let Err((error, _)) = producer.send(BaseRecord::to(topic).key(&key).payload(&value)) {
                match error {
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => std::thread::sleep(Duration::from_millis(1)),
                    error => return Err(error.into()),
                }
            }
            id += 1;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    producer.flush(PATIENCE)?;
    Ok(())
}

/// A consumer of the topics from now on.
fn consumer(bootstrap: &str, outputs: &[Output]) -> Result<BaseConsumer> {
    let settings =
        [("bootstrap.servers", bootstrap), ("group.id", "latency"), ("enable.auto.commit", "false"), ("fetch.wait.max.ms", "100")];
    let consumer: BaseConsumer = settings.iter().fold(&mut ClientConfig::new(), |c, (name, value)| c.set(*name, *value)).create()?;
    let mut assignment = TopicPartitionList::new();
    for Output { topic, .. } in outputs {
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
        let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
        ensure!(partitions > 0, "there is no topic {topic}");
        for partition in 0..i32::try_from(partitions)? {
            let (_, end) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
            assignment.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds, for people")]
fn print(output: &Output, histogram: &Histogram, kind: &str, began: Instant) {
    let [p50, p99, most] = [histogram.at(500), histogram.at(990), histogram.most_us()].map(|us| us as f64 / 1e3);
    let line = json!({
        "bench": "latency", "of": kind, "out": output.topic, "what": output.what, "events": histogram.count(), "seconds": began.elapsed().as_secs_f64(),
        "p50_ms": p50, "p99_ms": p99, "max_ms": most
    });
    println!("{line}");
}

/// Takes a record in at its output.
fn see(outputs: &mut [Output], places: &HashMap<String, usize>, message: &BorrowedMessage<'_>, owed: &Owed, events: usize) -> Result<()> {
    let now = Instant::now();
    let Some(payload) = message.payload() else { return Ok(()) };
    let place = *places.get(message.topic()).context("a record of another topic")?;
    let seen = locked(owed).get_mut(place).context("an output without events")?.see(&serde_json::from_slice(payload)?)?;
    let output = outputs.get_mut(place).context("another output")?;
    for event in seen {
        let us = u64::try_from(now.duration_since(event.sent).as_micros())?;
        output.seen += 1;
        output.period.add(us);
        if event.id >= events / 5 {
            output.whole.add(us);
        }
    }
    Ok(())
}

/// What became of the producer.
fn ended(producing: JoinHandle<Result<()>>) -> Result<()> {
    producing.join().map_err(|_| anyhow!("the producer panicked"))?.context("the producer")
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, input, rate, events, period, outputs @ ..] = arguments.as_slice() else {
        bail!("BOOTSTRAP IN RATE EVENTS PERIOD OUT=counts|rows ...")
    };
    let (rate, events, period): (usize, usize, u64) = (rate.parse()?, events.parse()?, period.parse()?);
    let output = |argument: &String| {
        let (topic, what) = argument.split_once('=').with_context(|| format!("{argument} is not OUT=counts|rows"))?;
        let (topic, what) = (topic.to_owned(), what.to_owned());
        Ok(Output { topic, what, seen: 0, whole: Histogram::new(), period: Histogram::new() })
    };
    let mut outputs: Vec<Output> = outputs.iter().map(output).collect::<Result<_>>()?;
    let places: HashMap<String, usize> = outputs.iter().enumerate().map(|(place, output)| (output.topic.clone(), place)).collect();
    let owed: Owed = Arc::new(Mutex::new(outputs.iter().map(|output| Pending::new(&output.what)).collect::<Result<_>>()?));
    let consumer = consumer(bootstrap, &outputs)?;
    let began = Instant::now();
    let producing = std::thread::spawn({
        let (bootstrap, input, owed) = (bootstrap.clone(), input.clone(), owed.clone());
        move || produce(&bootstrap, &input, rate, events, &owed)
    });
    let (mut heard, mut periods) = (Instant::now(), 1);
    while outputs.iter().any(|output| output.seen < events) {
        if period > 0 && began.elapsed() >= Duration::from_secs(periods * period) {
            periods += 1;
            for output in &mut outputs {
                let since = std::mem::replace(&mut output.period, Histogram::new());
                print(output, &since, "period", began);
            }
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => {
                heard = Instant::now();
                see(&mut outputs, &places, &message?, &owed, events)?;
            }
            None if heard.elapsed() < PATIENCE => {}
            None => {
                // What keeps them away may be that they were never sent.
                if producing.is_finished() {
                    ended(producing)?;
                }
                bail!("not all of {events} events became visible");
            }
        }
    }
    ended(producing)?;
    outputs.iter().for_each(|output| print(output, &output.whole, "whole", began));
    Ok(())
}
