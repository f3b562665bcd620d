//! What other users of the server see, and what the store makes of what they did.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_adapters::redis::{RedisSettings, RowFormat};
use millstream_core::ports::{Clock, CriticalStore, EpochSink};
use millstream_core::{Epoch, ErrorKind, TableKind, TableSpec, Value};
use millstream_testkit::changes::{Writer, delete, insert};
use millstream_testkit::rows::{collect, rows_of};
use millstream_testkit::{ManualClock, row, tables};
use redis::Commands;

use super::Keys;

/// 2100-01-01, which the server's clock doesn't reach.
const NOW: i64 = 4_102_444_800_000_000;

fn clock() -> Arc<ManualClock> {
    let clock = ManualClock::default();
    clock.set(millstream_core::Timestamp(NOW));
    Arc::new(clock)
}

fn key(origin: &str, id: i64) -> [Value; 2] {
    [Value::Str(origin.to_owned()), Value::Int(id)]
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_plain_hashes_that_redis_expires_at_version_plus_ttl() {
    let Some(keys) = Keys::single() else { return };
    let store = keys.store(clock());
    let spec = tables::critical("delays", Some(Duration::from_secs(3_600)));
    store.ensure_table(&spec).await.unwrap();
    let mut w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    let changes =
        [insert(NOW + 5, row!["EWR", 1, 130]), insert(NOW, row!["EWR", 2, None::<i32>]), delete(NOW, row!["EWR", 3, None::<i32>])];
    w.commit(&*store, &changes).await.unwrap();
    let mut client = keys.client();
    let name = |id: i64| format!("{}delays:{{EWR,{id}}}", keys.settings.key_prefix);
    let hash: BTreeMap<String, String> = client.hgetall(name(1)).unwrap();
    let expected = [("_version", "4102444800000005"), ("delay", "130"), ("id", "1"), ("origin", "EWR")];
    assert_eq!(hash, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    let hash: BTreeMap<String, String> = client.hgetall(name(2)).unwrap();
    assert!(!hash.contains_key("delay"), "a null is no field: {hash:?}");
    let hash: BTreeMap<String, String> = client.hgetall(name(3)).unwrap();
    assert_eq!(hash["_deleted"], "1", "a tombstone: {hash:?}");
    for id in 1..=3 {
        let at: i64 = client.pexpire_time(name(id)).unwrap();
        assert_eq!(at, NOW / 1_000 + 3_600_001, "row {id} goes when its version plus the TTL is over, to the next millisecond");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_plain_json_where_the_settings_say_so() {
    let Some(mut keys) = Keys::single() else { return };
    keys.settings.format = RowFormat::Json;
    let store = keys.store(clock());
    let spec = tables::critical("delays", None);
    store.ensure_table(&spec).await.unwrap();
    let mut w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    w.commit(&*store, &[insert(7, row!["é,}", 1, None::<i32>])]).await.unwrap();
    let text: String = keys.client().get(format!("{}delays:{{é%2C%7D,1}}", keys.settings.key_prefix)).unwrap();
    assert_eq!(text, r#"{"_version":7,"origin":"é,}","id":1,"delay":null}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_back_exactly() {
    let Some(mut keys) = Keys::single() else { return };
    for format in [RowFormat::Hash, RowFormat::Json] {
        keys.settings.format = format;
        let spec = TableSpec { kind: TableKind::Critical, ..tables::all_types(&format!("{format:?}")) };
        let store = keys.store(clock());
        store.ensure_table(&spec).await.unwrap();
        let mut w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
        let rows = tables::all_types_rows();
        let changes: Vec<_> = rows.iter().map(|r| insert(i64::MIN + 1, r.clone())).collect();
        w.commit(&*store, &changes).await.unwrap();
        assert_eq!(collect(store.scan(&spec.name, None).await.unwrap()).await.unwrap(), rows, "{format:?}");
        for (id, row) in (1..).zip(&rows) {
            let found = store.get(&spec.name, &[Value::Int(id)]).await.unwrap().unwrap();
            assert_eq!((rows_of(&found.row).unwrap(), found.version.0), (vec![row.clone()], i64::MIN + 1), "{format:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_beyond_53_bits_are_compared_exactly() {
    let Some(keys) = Keys::single() else { return };
    let store = keys.store(clock());
    let spec = tables::critical("t", None);
    store.ensure_table(&spec).await.unwrap();
    let mut w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    for (version, delay, stands) in [
        (i64::MIN + 1, 1, 1),
        (i64::MIN, 2, 1),
        (i64::MIN + 2, 3, 3),
        (-1, 4, 4),
        (i64::MAX - 1, 5, 5),
        (i64::MAX - 2, 6, 5),
        (i64::MAX, 7, 7),
        (0, 8, 7),
    ] {
        w.commit(&*store, &[insert(version, row!["EWR", 1, delay])]).await.unwrap();
        let found = store.get("t", &key("EWR", 1)).await.unwrap().unwrap();
        assert_eq!(rows_of(&found.row).unwrap(), [row!["EWR", 1, stands]], "after version {version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_keeps_its_format() {
    let Some(keys) = Keys::single() else { return };
    let spec = tables::critical("t", None);
    keys.store(clock()).ensure_table(&spec).await.unwrap();
    let other = RedisSettings { format: RowFormat::Json, ..keys.settings.clone() };
    let store = millstream_adapters::redis::RedisCriticalStore::new(other, clock()).unwrap();
    let error = store.ensure_table(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("hash") && error.to_string().contains("json"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_hears_of_it_when_its_epochs_are_gone_and_begins_again() {
    let Some(keys) = Keys::single() else { return };
    let store = keys.store(clock());
    let spec = tables::critical("t", None);
    store.ensure_table(&spec).await.unwrap();
    let mut w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    w.commit(&*store, &[insert(1, row!["EWR", 1, 1])]).await.unwrap();
    let mut client = keys.client();
    for key in ["t:epochs", "t:spec", "t:{EWR,1}"] {
        let _: () = client.del(format!("{}{key}", keys.settings.key_prefix)).unwrap();
    }
    let error = w.commit(&*store, &[insert(2, row!["EWR", 2, 1])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let mut w = Writer::begin(&*store, &spec, "f", 2).await.unwrap();
    assert_eq!(w.epoch, Epoch(0));
    // Before the first epoch there is nothing to lose.
    let _: () = client.del(format!("{}t:epochs", keys.settings.key_prefix)).unwrap();
    w.commit(&*store, &[insert(1, row!["EWR", 1, 1]), insert(2, row!["EWR", 2, 1])]).await.unwrap();
    assert_eq!(collect(store.scan("t", None).await.unwrap()).await.unwrap().len(), 2);
    let described: bool = client.exists(format!("{}t:spec", keys.settings.key_prefix)).unwrap();
    assert!(described, "what the table is stands there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_processes_write_is_seen_at_once() {
    let Some(keys) = Keys::single() else { return };
    let clock = clock();
    let (reader, other) = (keys.store(clock.clone()), keys.store(clock.clone()));
    let spec = tables::critical("t", None);
    reader.ensure_table(&spec).await.unwrap();
    other.ensure_table(&spec).await.unwrap();
    let mut w = Writer::begin(&*other, &spec, "f", 1).await.unwrap();
    for n in 0..50 {
        let version = clock.now().0 + n;
        w.commit(&*other, &[insert(version, row!["EWR", 1, i32::try_from(n).unwrap()])]).await.unwrap();
        // What the server tells of a change comes before the answer to any later question on the same connection.
        assert!(reader.get("t", &key("JFK", 1)).await.unwrap().is_none());
        let found = reader.get("t", &key("EWR", 1)).await.unwrap().unwrap();
        assert_eq!(found.version.0, version, "write {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_would_take_too_much_memory_is_refused() {
    let Some(mut keys) = Keys::single() else { return };
    keys.settings.scan_keys_max = 10;
    let store = keys.store(clock());
    let spec = tables::critical("t", None);
    store.ensure_table(&spec).await.unwrap();
    let mut w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    let rows: Vec<_> = (0..11).map(|id| insert(1, row!["EWR", id, 1])).collect();
    w.commit(&*store, &rows).await.unwrap();
    let error = store.scan("t", None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().contains("redis.scan_keys_max"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_of_many_calls_is_whole_and_counted() {
    let Some(mut keys) = Keys::single() else { return };
    keys.settings.rows_a_call = 100;
    let store = keys.store(clock());
    let spec = tables::critical("t", None);
    store.ensure_table(&spec).await.unwrap();
    let w = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    let rows: Vec<_> = (0..2_345).map(|id| insert(1, row!["EWR", id, 1])).collect();
    let write = w.write(Epoch(1), &rows, 500).unwrap();
    assert_eq!(store.commit(write.clone()).await.unwrap(), 2_345);
    assert_eq!(store.commit(write).await.unwrap(), 0);
    assert_eq!(collect(store.scan("t", None).await.unwrap()).await.unwrap().len(), 2_345);
}
