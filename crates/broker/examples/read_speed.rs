//! Measures how fast the log takes records and gives them back through core's port: 336,776 JSON records of about 200 bytes.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use millstream_broker::{BrokerSettings, Log};
use millstream_core::ports::{Clock, EventLog, NewRecord, SystemClock, TopicSpec};
use millstream_core::{Offset, TopicPartition};

const RECORDS: usize = 336_776;
const PER_APPEND: usize = 500;

fn record(i: usize) -> NewRecord {
    let json = format!(
        r#"{{"event_id":{i},"ts":"2013-01-01T05:15:00Z","carrier":"UA","flight":1545,"tailnum":"N14228","origin":"EWR","dest":"IAH","dep_delay":2,"arr_delay":11,"air_time":227,"distance":1400,"note":"x"}}"#
    );
    NewRecord { key: Some(Bytes::from_static(b"UA")), value: Some(Bytes::from(json)), ..NewRecord::default() }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let clock = SystemClock;
    let log = Log::open(folder.path(), BrokerSettings::default(), Arc::new(clock)).await?;
    log.create_topic(&TopicSpec { name: "flights".to_owned(), partitions: 1, retention: None }).await?;
    let partition = TopicPartition::new("flights", 0);
    let records: Vec<NewRecord> = (0..RECORDS).map(record).collect();

    let begun = clock.now();
    for some in records.chunks(PER_APPEND) {
        log.append(&partition, some.to_vec()).await?;
    }
    report("appended", begun.micros(), clock.now().micros())?;

    for round in ["read first", "read again", "read again"] {
        let begun = clock.now();
        let (mut next, mut count, mut bytes) = (Offset(0), 0, 0);
        loop {
            let outcome = log.read(&partition, next, 4 << 20).await?;
            if outcome.records.is_empty() {
                break;
            }
            next = outcome.next;
            count += outcome.records.len();
            bytes += outcome.records.iter().map(|r| r.value.as_ref().map_or(0, Bytes::len)).sum::<usize>();
        }
        assert_eq!(count, RECORDS);
        report(&format!("{round} ({bytes} bytes of values)"), begun.micros(), clock.now().micros())?;
    }
    Ok(())
}

fn report(what: &str, from_us: i64, to_us: i64) -> std::io::Result<()> {
    let seconds = (to_us - from_us) as f64 / 1e6;
    writeln!(std::io::stdout(), "{what}: {RECORDS} records in {seconds:.3} s, {:.0} a second", RECORDS as f64 / seconds)
}
