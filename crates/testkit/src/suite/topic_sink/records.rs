//! What stands in a topic: values, keys, times, headers, and their order.

use std::collections::BTreeSet;

use millstream_core::encode::{RowEncoder, partition_of_key};
use millstream_core::ports::{NewRecord, Record, ValueFormat};
use millstream_core::{Epoch, ErrorKind, Timestamp, TopicPartition};

use super::{FIRST_VERSION, PARTITIONS, Port, changes, json, keyed, one, positions, rows, sorted, values};
use crate::changes::{Writer, change_batch, delete, insert, update};
use crate::check::{CaseResult, refused};
use crate::harness::Harness;
use crate::rows::{Cell, Row};
use crate::{check, check_eq, row, tables};

/// The records of one key, in the order in which they stand.
fn of_key<'a>(partitions: &'a [Vec<Record>], key: &'a str) -> Vec<&'a Record> {
    partitions.iter().flatten().filter(|r| r.key.as_deref() == Some(key.as_bytes())).collect()
}

fn text(record: &Record) -> &str {
    std::str::from_utf8(record.value.as_deref().unwrap_or_default()).unwrap_or("not UTF-8")
}

/// Within a partition, over all epochs; times are the versions, cut to the millisecond.
pub async fn records_stand_in_the_order_of_their_changes(h: &dyn Harness<Port>) -> CaseResult {
    let (port, _, mut w) = keyed(h).await?;
    for epoch in 1..=4 {
        let added = w.commit(&*port.sink, &changes(&rows("f", epoch, 50))).await?;
        check_eq!(added, 50, "so many records were appended by epoch {epoch}");
    }
    let found = port.read("t", 200).await?;
    for (partition, records) in found.iter().enumerate() {
        let places: Vec<(usize, usize)> = records.iter().filter_map(|r| place(text(r))).collect();
        check_eq!(places.len(), records.len(), "every value in partition {partition} is a row that was written");
        check!(places.is_sorted(), "partition {partition} has its records in the order of their changes: {places:?}");
    }
    let times: BTreeSet<Timestamp> = found.iter().flatten().map(|r| r.timestamp).collect();
    let expected: BTreeSet<Timestamp> = (0..50).map(|id| Timestamp((FIRST_VERSION + id * 1_001) / 1_000 * 1_000)).collect();
    check_eq!(times, expected, "a record's time is its row's version, cut to the millisecond");
    Ok(())
}

/// Epoch and id of a value of flow `f`.
fn place(value: &str) -> Option<(usize, usize)> {
    (1..=4)
        .flat_map(|epoch| (0..50).map(move |id| (epoch, id)))
        .find(|(epoch, id)| json("f", *epoch, *id) == value)
        .and_then(|(epoch, id)| Some((usize::try_from(epoch).ok()?, usize::try_from(id).ok()?)))
}

/// JSON, CSV, Avro: keys and values to the byte as core's encoder has them.
pub async fn each_format_is_written_as_its_encoder_writes_it(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let some = [one("f", 1, 0), row!["f", 1_i64, 1_i64, Cell::Null], row!["a \"b\",\n", 1_i64, -2_i64, "é"]];
    for (name, format, key) in
        [("j", ValueFormat::Json, &["id", "flow"][..]), ("c", ValueFormat::Csv, &["note"][..]), ("a", ValueFormat::Avro, &[][..])]
    {
        let (spec, output) = (tables::topic(name), port.output(name, format.clone(), key));
        port.sink.ensure_topic(&spec, &output).await?;
        let mut w = Writer::begin(&*port.sink, &spec, "f", 1).await?;
        w.commit(&*port.sink, &changes(&some)).await?;
        let encoded = RowEncoder::try_new(&spec, &output)?.encode(&change_batch(&spec.schema, &changes(&some))?)?;
        let mut expected: Vec<_> = encoded.into_iter().map(|r| (r.value, r.key, r.timestamp)).collect();
        let mut found: Vec<_> = port.read(name, some.len()).await?.into_iter().flatten().map(|r| (r.value, r.key, r.timestamp)).collect();
        expected.sort();
        found.sort();
        check_eq!(found, expected, "keys, values and times in {format:?}");
    }
    Ok(())
}

/// That of the Java client's hash.
pub async fn a_key_goes_where_every_producer_puts_it(h: &dyn Harness<Port>) -> CaseResult {
    let (port, _, mut w) = keyed(h).await?;
    w.commit(&*port.sink, &changes(&rows("f", 1, 40))).await?;
    for (p, records) in (0..).zip(port.read("t", 40).await?) {
        for record in records {
            let key = record.key.unwrap_or_default();
            check_eq!(p, partition_of_key(&key, PARTITIONS), "the partition of key {key:?}");
        }
    }
    Ok(())
}

/// Each once, over all partitions.
pub async fn records_without_a_key_go_everywhere(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec) = (h.open().await?, tables::topic("t"));
    port.sink.ensure_topic(&spec, &port.output("t", ValueFormat::Json, &[])).await?;
    let mut w = Writer::begin(&*port.sink, &spec, "f", 1).await?;
    w.commit(&*port.sink, &changes(&rows("f", 1, 30))).await?;
    let found = port.read("t", 30).await?;
    check!(found.iter().all(|records| !records.is_empty()), "30 records without a key are in all {PARTITIONS} partitions");
    check!(found.iter().flatten().all(|r| r.key.is_none()), "they have no key");
    check_eq!(port.values("t", 30).await?, sorted(values("f", 1, 30)), "each is there once");
    Ok(())
}

/// After the records of its key that it deletes.
pub async fn a_delete_is_a_tombstone_of_its_key(h: &dyn Harness<Port>) -> CaseResult {
    let (port, _, mut w) = keyed(h).await?;
    // Of a delete only the key counts.
    let key: Row = row!["nobody", 0_i64, 7_i64, Cell::Null];
    let epoch = [
        insert(FIRST_VERSION, one("f", 1, 7)),
        insert(FIRST_VERSION, one("f", 1, 8)),
        delete(FIRST_VERSION + 5_000, key),
        update(FIRST_VERSION + 9_000, one("f", 2, 7)),
    ];
    w.commit(&*port.sink, &epoch).await?;
    let found = port.read("t", 4).await?;
    let of_seven: Vec<_> = of_key(&found, "7").into_iter().map(|r| (r.value.is_some(), text(r).to_owned(), r.timestamp.0)).collect();
    let expected = vec![
        (true, json("f", 1, 7), FIRST_VERSION),
        (false, String::new(), FIRST_VERSION + 5_000),
        (true, json("f", 2, 7), FIRST_VERSION + 9_000),
    ];
    check_eq!(of_seven, expected, "a row, its tombstone, and the row that came after it");
    check_eq!(of_key(&found, "8").len(), 1, "another key is left alone");
    Ok(())
}

/// `InvalidInput`, and nothing of the epoch shows.
pub async fn a_delete_without_a_key_is_refused_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec) = (h.open().await?, tables::topic("t"));
    port.sink.ensure_topic(&spec, &port.output("t", ValueFormat::Json, &[])).await?;
    let mut w = Writer::begin(&*port.sink, &spec, "f", 1).await?;
    let mixed = [insert(FIRST_VERSION, one("f", 1, 0)), delete(FIRST_VERSION, one("f", 1, 1))];
    refused(port.sink.commit(w.write(Epoch(1), &mixed, 1)?).await, ErrorKind::InvalidInput, "a delete without a key")?;
    w.commit(&*port.sink, &changes(&rows("f", 1, 1))).await?;
    check_eq!(port.values("t", 1).await?, values("f", 1, 1), "nothing of the refused epoch shows");
    Ok(())
}

/// The header `millstream-position`: flow, attempt, epoch, and a sequence from 0 over the epoch's records.
pub async fn each_record_names_its_position(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut w) = keyed(h).await?;
    w.commit(&*port.sink, &changes(&rows("f", 1, 20))).await?;
    let mut w = Writer::begin(&*port.sink, &spec, "f", 4).await?;
    w.commit(&*port.sink, &changes(&rows("f", 2, 9))).await?;
    let found = port.read("t", 29).await?;
    let mut named: Vec<Option<String>> = positions(&found).into_iter().map(|p| p.map(|p| p.to_string())).collect();
    named.sort();
    let mut expected: Vec<Option<String>> =
        (0..20).map(|s| Some(format!("f/1/1/{s}"))).chain((0..9).map(|s| Some(format!("f/4/2/{s}")))).collect();
    expected.sort();
    check_eq!(named, expected, "the positions that the records name");
    Ok(())
}

/// What other producers append is neither lost nor taken for a flow's.
pub async fn records_of_others_stay_as_they_are(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut w) = keyed(h).await?;
    let foreign = |n: i64| NewRecord {
        timestamp: Some(Timestamp(FIRST_VERSION + n * 1_000)),
        value: Some(format!("foreign {n}").into()),
        headers: vec![("millstream-position".to_owned(), Some("whatever".into()))],
        ..NewRecord::default()
    };
    for n in 0..3 {
        port.log.append(&TopicPartition::new(port.topic("t"), i32::try_from(n).unwrap_or(0)), vec![foreign(n)]).await?;
        w.commit(&*port.sink, &changes(&rows("f", n + 1, 2))).await?;
        w = Writer::begin(&*port.sink, &spec, "f", 2 + n.unsigned_abs()).await?;
        check_eq!(w.epoch, Epoch(n.unsigned_abs() + 1), "the flow's own epochs count");
    }
    let own = (1..=3).flat_map(|epoch| values("f", epoch, 2));
    let expected = sorted((0..3).map(|n| format!("foreign {n}")).chain(own).collect());
    check_eq!(port.values("t", 9).await?, expected, "the records of both");
    Ok(())
}
