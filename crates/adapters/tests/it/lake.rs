//! The lake: its contract suites on this machine's file system, on a store in memory, and on a server that speaks S3.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod azure;
mod s3;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future::join_all;
use millstream_adapters::connection::Secret;
use millstream_adapters::lake::{
    AzureSettings, GcsSettings, LakeCheckpointStore, LakeFormat, LakeLocation, LakeReferenceSource, LakeSettings, LakeTableStore,
    S3Settings, check_table, probe, probe_location,
};
use millstream_core::ErrorKind;
use millstream_core::ports::{LakeStore, ReferenceSource};
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::rows::{batch, collect};
use millstream_testkit::{Abilities, Harness, ManualClock, OnData, Row, row, suite, tables};
use object_store::memory::InMemory;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use self::s3::S3Peer;

/// Every commit rolls: a suite's handful of rows also meets data files.
fn rolling() -> LakeSettings {
    LakeSettings { roll_bytes: 1, retries_max: 3, request_timeout_ms: 10_000, ..LakeSettings::default() }
}

fn store(settings: LakeSettings, root: &str, clock: Arc<ManualClock>) -> millstream_core::Result<Arc<dyn LakeStore>> {
    let root = LakeLocation::parse(root)?;
    Ok(Arc::new(LakeTableStore::new(Arc::new(settings), root, BTreeMap::new(), clock)?))
}

fn on_disk(settings: fn() -> LakeSettings) -> impl Harness<suite::lake_store::Port> {
    OnData::new(tempfile::tempdir().unwrap(), move |dir: Arc<TempDir>, clock| async move {
        store(settings(), dir.path().to_str().unwrap(), clock)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_on_the_file_system_keep_the_contract() {
    suite::lake_store::run("lake (file)", || on_disk(LakeSettings::default)).await.assert_passed();
    suite::lake_store::run("lake (file, rolling)", || on_disk(rolling)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_in_memory_keep_the_contract() {
    let harness = |settings: fn() -> LakeSettings| {
        OnData::new(InMemory::new(), move |lake: Arc<InMemory>, clock: Arc<ManualClock>| async move {
            let root = LakeLocation::parse("s3://memory/lake")?;
            Ok(Arc::new(LakeTableStore::in_store(lake, Arc::new(settings()), root, clock)?) as Arc<dyn LakeStore>)
        })
        .with_abilities(Abilities::ALL)
    };
    suite::lake_store::run("lake (memory)", || harness(LakeSettings::default)).await.assert_passed();
    suite::lake_store::run("lake (memory, rolling)", || harness(rolling)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_keep_the_contract() {
    use suite::checkpoint_store::{Port, run};
    let on_disk = || {
        OnData::new(tempfile::tempdir().unwrap(), move |dir: Arc<TempDir>, _| async move {
            let folder = LakeLocation::parse(dir.path().join("checkpoints").to_str().unwrap())?;
            Ok(Arc::new(LakeCheckpointStore::new(Arc::new(LakeSettings::default()), folder)?) as Port)
        })
    };
    run("lake (file)", on_disk).await.assert_passed();
    let in_memory = || {
        OnData::new(InMemory::new(), move |lake: Arc<InMemory>, _| async move {
            let folder = LakeLocation::parse("s3://memory/checkpoints")?;
            Ok(Arc::new(LakeCheckpointStore::in_store(lake, Arc::new(LakeSettings::default()), folder)?) as Port)
        })
        .with_abilities(Abilities::ALL)
    };
    run("lake (memory)", in_memory).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back_from_parquet() {
    use suite::sql_types::{OfLakeStore, Port};
    let harness = |settings: fn() -> LakeSettings| {
        OnData::new(tempfile::tempdir().unwrap(), move |dir: Arc<TempDir>, clock| async move {
            let lake = store(settings(), dir.path().to_str().unwrap(), clock)?;
            Ok(Port::of(OfLakeStore(lake), check_table))
        })
    };
    suite::sql_types::run("parquet (lake)", || harness(LakeSettings::default)).await.assert_passed();
    suite::sql_types::run("parquet (lake, rolling)", || harness(rolling)).await.assert_passed();
}

/// The keys' files, in a folder that a test can write to.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        keys.rotate("id-1");
        keys
    }

    fn rotate(&self, id: &str) {
        std::fs::write(self.0.path().join("id"), format!("{id}\n")).unwrap();
        std::fs::write(self.0.path().join("key"), "secret\n").unwrap();
        std::fs::write(self.0.path().join("azure"), "c2VjcmV0\n").unwrap();
    }

    fn settings(&self, peer: &S3Peer, settings: LakeSettings) -> LakeSettings {
        let secret = |name: &str| Some(Secret::File(self.0.path().join(name)));
        let s3 = S3Settings {
            endpoint: Some(peer.endpoint.clone()),
            access_key_id: secret("id"),
            secret_access_key: secret("key"),
            ..S3Settings::default()
        };
        LakeSettings { s3, ..settings }
    }
}

/// A fresh folder in `peer` for each case.
fn on_s3(
    peer: &Arc<S3Peer>,
    keys: &Arc<Keys>,
    run: &'static str,
    settings: fn() -> LakeSettings,
) -> impl Fn() -> OnData<String, suite::lake_store::Port> {
    let (peer, keys) = (peer.clone(), keys.clone());
    let cases = std::sync::atomic::AtomicUsize::new(0);
    move || {
        let (peer, keys) = (peer.clone(), keys.clone());
        let root = format!("s3://bucket/{run} {}", cases.fetch_add(1, Ordering::SeqCst));
        OnData::new(root, move |root: Arc<String>, clock| {
            let settings = keys.settings(&peer, settings());
            async move { store(settings, &root, clock) }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_on_s3_keep_the_contract() {
    let (peer, keys) = (Arc::new(S3Peer::start().await), Arc::new(Keys::new()));
    suite::lake_store::run("lake (s3)", on_s3(&peer, &keys, "staged", LakeSettings::default)).await.assert_passed();
    suite::lake_store::run("lake (s3, rolling)", on_s3(&peer, &keys, "rolled", rolling)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_on_s3_keep_the_contract_when_answers_are_lost() {
    let (peer, keys) = (Arc::new(S3Peer::start().await), Arc::new(Keys::new()));
    peer.state.lose_every.store(3, Ordering::SeqCst);
    suite::lake_store::run("lake (s3, lost answers)", on_s3(&peer, &keys, "rolled", rolling)).await.assert_passed();
}

/// Settings for the peer in the dialect of a location's scheme.
fn in_dialect(scheme: &str, peer: &S3Peer, keys: &Keys, settings: LakeSettings) -> LakeSettings {
    match scheme {
        "gs" => LakeSettings {
            gcs: GcsSettings { endpoint: Some(peer.endpoint.clone()), anonymous: true, ..GcsSettings::default() },
            ..settings
        },
        "abfss" => {
            let endpoint = Some(format!("{}/account", peer.endpoint));
            let access_key = Some(Secret::File(keys.0.path().join("azure")));
            LakeSettings { azure: AzureSettings { endpoint, access_key, ..AzureSettings::default() }, ..settings }
        }
        _ => keys.settings(peer, settings),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_on_azure_and_google_keep_the_contract() {
    for (scheme, root, id) in [("gs", "gs://bucket", ""), ("abfss", "abfss://bucket@account.dfs.core.windows.net", "account")] {
        let (peer, keys) = (Arc::new(S3Peer::start().await), Arc::new(Keys::new()));
        id.clone_into(&mut peer.state.key_id.lock().unwrap());
        let cases = std::sync::atomic::AtomicUsize::new(0);
        let harness = || {
            let (peer, keys) = (peer.clone(), keys.clone());
            let root = format!("{root}/case {}", cases.fetch_add(1, Ordering::SeqCst));
            OnData::new(root, move |root: Arc<String>, clock| {
                let settings = in_dialect(scheme, &peer, &keys, rolling());
                async move { store(settings, &root, clock) }
            })
        };
        suite::lake_store::run(&format!("lake ({scheme})"), harness).await.assert_passed();
        peer.state.lose_every.store(3, Ordering::SeqCst);
        let only = ["every_row_is_there_once_however_often_its_writer_dies", "flows_that_commit_at_the_same_time_lose_nothing"];
        suite::lake_store::run_only(&format!("lake ({scheme}, lost answers)"), harness, &only).await.assert_passed();
    }
}

fn encoded(format: LakeFormat, rows: &[Row]) -> Bytes {
    let batch = batch(&suite::reference_source::table(), rows).unwrap();
    let mut out = Vec::new();
    write(format, &batch, &mut out);
    out.into()
}

fn write(format: LakeFormat, batch: &RecordBatch, out: &mut Vec<u8>) {
    match format {
        LakeFormat::Parquet => {
            let mut writer = ArrowWriter::try_new(out, batch.schema(), None).unwrap();
            writer.write(batch).unwrap();
            writer.close().unwrap();
        }
        LakeFormat::Csv => arrow::csv::Writer::new(out).write(batch).unwrap(),
        LakeFormat::Json => {
            let mut writer = arrow::json::LineDelimitedWriter::new(out);
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_data_on_s3_keeps_the_contract() {
    let (peer, keys) = (Arc::new(S3Peer::start().await), Arc::new(Keys::new()));
    for format in [LakeFormat::Parquet, LakeFormat::Csv, LakeFormat::Json] {
        let cases = std::sync::atomic::AtomicUsize::new(0);
        let harness = || {
            let key = format!("{} {}", format.as_str(), cases.fetch_add(1, Ordering::SeqCst));
            let (peer, keys) = (peer.clone(), keys.clone());
            OnData::new(key, move |key: Arc<String>, _| {
                let settings = Arc::new(keys.settings(&peer, LakeSettings::default()));
                let peer = peer.clone();
                async move {
                    let declared = (format != LakeFormat::Parquet).then(suite::reference_source::table);
                    let location = LakeLocation::parse(&format!("s3://bucket/{key}"))?;
                    let source = Arc::new(LakeReferenceSource::at(format, &location, settings, declared)) as Arc<dyn ReferenceSource>;
                    let replace: suite::reference_source::Replace = Arc::new(move |rows| {
                        peer.state.put(&key, encoded(format, rows));
                        Ok(())
                    });
                    Ok(suite::reference_source::Port { source, replace })
                }
            })
        };
        suite::reference_source::run(&format!("lake (s3, {})", format.as_str()), harness).await.assert_passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_on_s3_is_one_table_and_its_columns_are_inferred_from_the_first_file() {
    let (peer, keys) = (S3Peer::start().await, Keys::new());
    let rows = |from: i64, count: i64| (from..from + count).map(|id| row![id, format!("name-{id}")]).collect::<Vec<Row>>();
    for n in 0..9_i64 {
        peer.state.put(&format!("ref/part-{n}.parquet"), encoded(LakeFormat::Parquet, &rows(n * 100, 100)));
    }
    peer.state.put("ref/_SUCCESS", Bytes::new());
    let settings = Arc::new(keys.settings(&peer, LakeSettings::default()));
    let location = LakeLocation::parse("s3://bucket/ref").unwrap();
    let source = LakeReferenceSource::at(LakeFormat::Parquet, &location, settings.clone(), None);
    assert_eq!(source.schema().await.unwrap(), suite::reference_source::table());
    let loaded = source.load().await.unwrap().iter().map(|b| millstream_testkit::rows::rows_of(b).unwrap()).collect::<Vec<_>>().concat();
    assert_eq!(loaded, rows(0, 900));
    let says = probe_location(&settings, "s3://bucket/ref").await.unwrap();
    assert!(says.starts_with("reference data s3://bucket/ref: 9 files, "), "{says}");

    peer.state.put("big.csv", encoded(LakeFormat::Csv, &rows(0, 700_000)));
    let location = LakeLocation::parse("s3://bucket/big.csv").unwrap();
    let source = LakeReferenceSource::at(LakeFormat::Csv, &location, settings.clone(), None);
    assert_eq!(source.schema().await.unwrap().field(0).data_type(), &arrow::datatypes::DataType::Int32);
    let loaded = source.load().await.unwrap();
    assert_eq!(loaded.iter().map(RecordBatch::num_rows).sum::<usize>(), 700_000, "a file of several parts");

    peer.state.put("nested/a/x.parquet", Bytes::new());
    let nested = LakeReferenceSource::at(LakeFormat::Parquet, &LakeLocation::parse("s3://bucket/nested").unwrap(), settings.clone(), None);
    assert_eq!(nested.load().await.unwrap_err().kind(), ErrorKind::Unsupported);
    let absent = LakeReferenceSource::at(LakeFormat::Parquet, &LakeLocation::parse("s3://bucket/absent").unwrap(), settings.clone(), None);
    for error in [absent.schema().await.unwrap_err(), absent.revision().await.unwrap_err(), absent.load().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("s3://bucket/absent does not exist: check LOCATION"), "{error}");
    }
    let location = LakeLocation::parse("s3://other/x").unwrap();
    let elsewhere = LakeReferenceSource::at(LakeFormat::Parquet, &location, settings, None).load().await.unwrap_err().to_string();
    assert!(elsewhere.contains("listing s3://other/x failed") && elsewhere.contains("NoSuchBucket"), "{elsewhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_picked_up_and_a_refused_one_is_waited_for() {
    let (peer, keys) = (S3Peer::start().await, Keys::new());
    let settings = keys.settings(&peer, LakeSettings { location: Some("s3://bucket/lake".to_owned()), ..LakeSettings::default() });
    let clock = Arc::new(ManualClock::default());
    let lake =
        LakeTableStore::new(Arc::new(settings.clone()), LakeLocation::parse("s3://bucket/lake").unwrap(), BTreeMap::new(), clock).unwrap();
    let spec = tables::lake("t");
    lake.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&lake, &spec, "f", 1).await.unwrap();
    let one = [insert(1, row!["f", 1_i64, 1_i64, "x"])];
    writer.commit(&lake, &one).await.unwrap();
    let at_once = join_all((0..8).map(|_| probe(&settings))).await;
    assert!(at_once.iter().all(|says| says.as_ref().unwrap() == "lake s3://bucket/lake: may list, create, read and delete"), "{at_once:?}");
    *peer.state.key_id.lock().unwrap() = "id-2".to_owned();
    let error = writer.commit(&lake, &one).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("lake") && !error.to_string().contains("secret\n"), "{error}");
    assert!(probe(&settings).await.is_err());
    keys.rotate("id-2");
    writer.commit(&lake, &one).await.unwrap();
    assert_eq!(collect(lake.scan("t", None).await.unwrap()).await.unwrap().len(), 2);
    assert!(!peer.state.keys().iter().any(|k| k.contains("probe")), "a probe leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_unavailable_within_the_time_out() {
    // Bound and never accepted: what a paused server looks like.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let s3 = S3Settings { endpoint: Some(format!("http://{}", silent.local_addr().unwrap())), anonymous: true, ..S3Settings::default() };
    let settings = LakeSettings { s3, request_timeout_ms: 200, ..LakeSettings::default() };
    let source = LakeReferenceSource::at(LakeFormat::Csv, &LakeLocation::parse("s3://bucket/x").unwrap(), Arc::new(settings), None);
    assert_eq!(source.load().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_up_and_down_in_parts() {
    let (peer, keys) = (S3Peer::start().await, Keys::new());
    let clock = Arc::new(ManualClock::default());
    let lake = store(keys.settings(&peer, rolling()), "s3://bucket/lake", clock).unwrap();
    let spec = tables::lake("t");
    lake.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*lake, &spec, "f", 1).await.unwrap();
    // Text that doesn't compress: two parts.
    let noise = |n: u64| (0..40_u64).map(|i| format!("{:016x}", (n * 40 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect::<String>();
    let changes: Vec<_> = (0..30_000_u64).map(|n| insert(1, row!["f", 1_i64, i64::try_from(n).unwrap(), noise(n)])).collect();
    writer.commit(&*lake, &changes).await.unwrap();
    let found = collect(lake.scan("t", Some(vec![3])).await.unwrap()).await.unwrap();
    assert_eq!(found.len(), 30_000);
    assert!((0..30_000_u64).step_by(997).all(|n| found[usize::try_from(n).unwrap()] == row![noise(n)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_of_a_local_table_never_holds_half_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let lake = store(rolling(), dir.path().to_str().unwrap(), Arc::new(ManualClock::default())).unwrap();
    let spec = tables::lake("t");
    lake.ensure_table(&spec).await.unwrap();
    let mut writer = Writer::begin(&*lake, &spec, "f", 1).await.unwrap();
    for epoch in 1..=5_i64 {
        writer.commit(&*lake, &[insert(1, row!["f", epoch, 1_i64, "x"])]).await.unwrap();
    }
    let files: Vec<_> = std::fs::read_dir(dir.path().join("t/data")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 5);
    // What Spark and DuckDB do: read the folder, and know of no manifest.
    let plain = LakeReferenceSource::new(LakeFormat::Parquet, dir.path().join("t/data"), None);
    let found: usize = plain.load().await.unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(found, 5);
    assert_eq!(plain.schema().await.unwrap().field(1).data_type(), spec.schema.field(1).data_type());
    assert!(Path::new(&dir.path().join("t/_millstream/table.json")).exists());
}
