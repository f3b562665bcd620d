//! How long an event takes from the producer through a pipeline to a consumer of what became of it.
//!
//! `cargo run --example latency -- BOOTSTRAP IN OUT counts|rows RATE SECONDS` produces events to the topic `IN` at a steady rate, and consumes the topic
//! `OUT` meanwhile. An event is `{"id":..., "ts":..., "k":...}`, its key is `k`. With `rows`, the pipeline is expected to write a record
//! with `id` for each event; with `counts`, a record with `k` and `n` whenever the count of a `k` has changed: an event is visible when a count is that
//! takes it in. The first fifth of the events warms everything up and isn't counted. It prints one line of JSON, in milliseconds.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and measures by the machine's own clock")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

/// How many values `k` has.
const KEYS: usize = 1_000;

/// After the last event, what became of it is waited for at most so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each event was handed to the producer; with `counts`, by its key and its number there, else by its id under key 0.
struct Sent {
    by_key: Vec<Vec<Instant>>,
    is_counted: bool,
}

impl Sent {
    fn new(is_counted: bool) -> Self {
        Self { by_key: vec![Vec::new(); if is_counted { KEYS } else { 1 }], is_counted }
    }

    fn add(&mut self, id: usize) {
        let key = if self.is_counted { id % KEYS } else { 0 };
        self.by_key[key].push(Instant::now());
    }
}

fn produce(bootstrap: &str, topic: &str, rate: usize, events: usize, sent: &Mutex<Sent>) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("linger.ms", "0").set("acks", "all").create()?;
    let began = Instant::now();
    let mut id = 0;
    while id < events {
        let due = usize::try_from(began.elapsed().as_micros())?.saturating_mul(rate) / 1_000_000;
        while id < due.min(events) {
            // Event time goes with the events, within one hour.
            let micros = id.saturating_mul(1_000_000) / rate;
            let ts = chrono::DateTime::from_timestamp_micros(1_704_067_200_000_000 + i64::try_from(micros)?).context("no such time")?;
            let key = format!("k{}", id % KEYS);
            let ts = ts.format("%Y-%m-%dT%H:%M:%S%.6fZ");
            let value = json!({ "id": id, "ts": ts.to_string(), "k": key }).to_string();
            sent.lock().unwrap_or_else(PoisonError::into_inner).add(id);
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

/// A consumer of the topic from now on.
fn consumer(bootstrap: &str, topic: &str) -> Result<BaseConsumer> {
    let settings =
        [("bootstrap.servers", bootstrap), ("group.id", "latency"), ("enable.auto.commit", "false"), ("fetch.wait.max.ms", "100")];
    let consumer: BaseConsumer = settings.iter().fold(&mut ClientConfig::new(), |c, (name, value)| c.set(*name, *value)).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
    ensure!(partitions > 0, "there is no topic {topic}");
    let mut assignment = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        let (_, end) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        assignment.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

/// Which events a record makes visible: of a key, those from one number to before another.
fn visible(value: &Value, is_counted: bool, counts: &mut HashMap<usize, usize>) -> Result<(usize, std::ops::Range<usize>)> {
    let number = |name: &str| value[name].as_u64().with_context(|| format!("{value} has no {name}"));
    if !is_counted {
        let id = usize::try_from(number("id")?)?;
        return Ok((0, id..id + 1));
    }
    let key = value["k"].as_str().and_then(|k| k.strip_prefix('k')?.parse().ok()).with_context(|| format!("{value} has no k"))?;
    let n = usize::try_from(number("n")?)?;
    let before = counts.insert(key, n).unwrap_or(0);
    ensure!(n >= before, "the count of k{key} went back from {before} to {n}");
    Ok((key, before..n))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, input, output, what, rate, seconds] = arguments.as_slice() else { bail!("BOOTSTRAP IN OUT counts|rows RATE SECONDS") };
    let is_counted = match what.as_str() {
        "counts" => true,
        "rows" => false,
        other => bail!("{other} is neither counts nor rows"),
    };
    let (rate, seconds): (usize, usize) = (rate.parse()?, seconds.parse()?);
    let events = rate * seconds;
    let consumer = consumer(bootstrap, output)?;
    let sent = Arc::new(Mutex::new(Sent::new(is_counted)));
    let producing = std::thread::spawn({
        let (bootstrap, input, sent) = (bootstrap.clone(), input.clone(), sent.clone());
        move || produce(&bootstrap, &input, rate, events, &sent)
    });
    let (mut latencies_us, mut counts, mut seen) = (Vec::with_capacity(events), HashMap::new(), 0);
    let mut heard = Instant::now();
    while seen < events {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            ensure!(heard.elapsed() < PATIENCE, "only {seen} of {events} events became visible");
            continue;
        };
        let message = message?;
        let now = Instant::now();
        heard = now;
        let Some(payload) = message.payload() else { continue };
        let (key, numbers) = visible(&serde_json::from_slice(payload)?, is_counted, &mut counts)?;
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            let at = sent.by_key[key].get(number).with_context(|| format!("event {number} of key {key} was never sent"))?;
            seen += 1;
            let id = if is_counted { number * KEYS + key } else { number };
            if id >= events / 5 {
                latencies_us.push(u64::try_from(now.duration_since(*at).as_micros())?);
            }
        }
    }
    match producing.join() {
        Ok(produced) => produced?,
        Err(_) => bail!("the producer panicked"),
    }
    latencies_us.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds, for people")]
    let at = |per_mille: usize| {
        latencies_us.get((latencies_us.len() * per_mille / 1_000).min(latencies_us.len() - 1)).map(|us| *us as f64 / 1e3)
    };
    println!(
        "{}",
        json!({ "bench": "latency", "what": what, "events": latencies_us.len(), "p50_ms": at(500), "p99_ms": at(990), "max_ms": at(1_000) })
    );
    Ok(())
}
