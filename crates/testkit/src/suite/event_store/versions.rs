//! Which write of a key wins, and how long a row lives.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_core::ports::Scan;
use millstream_core::{ChangeKind, Epoch, Timestamp};

use super::{Port, events_of, pages, restarted, sort, store_with, table};
use crate::changes::{Change, delete, insert, update};
use crate::check::{CaseResult, Failure};
use crate::generate::Changes;
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect};
use crate::tables::{self, event};
use crate::{check, check_eq, row};

fn gone(key: &str) -> Row {
    row![key, None::<i64>]
}

/// A greater version wins, in whichever order the writes arrive: in epochs of their own or in one.
pub async fn the_greater_version_wins_in_any_order_of_arrival(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut w) = store_with(h, &tables::single("t")).await?;
    let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for (i, order) in orders.iter().enumerate() {
        for version in order {
            w.commit(&*store, &[update(*version, row![format!("epochs {i}"), *version])]).await?;
        }
        let one: Vec<_> = order.iter().map(|v| insert(*v, row![format!("one epoch {i}"), *v])).collect();
        w.commit(&*store, &one).await?;
    }
    for row in table(&store, "t").await? {
        check_eq!(row[1..], row![3, 3], "version 3 wins for {:?}", row[0]);
    }
    check_eq!(table(&store, "t").await?.len(), 12, "every key has one row");
    Ok(())
}

/// Of equal versions the later write wins: in one epoch everywhere, in different ones where the system doesn't resolve them by itself.
pub async fn of_equal_versions_the_later_write_wins(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut w) = store_with(h, &tables::single("t")).await?;
    let one_epoch = [
        insert(5, row!["a", 2]),
        insert(5, row!["a", 1]),
        delete(5, gone("b")),
        insert(5, row!["b", 1]),
        insert(5, row!["c", 1]),
        delete(5, gone("c")),
    ];
    w.commit(&*store, &one_epoch).await?;
    check_eq!(table(&store, "t").await?, [row!["a", 1, 5], row!["b", 1, 5]], "the later write of an epoch stands");
    w.commit(&*store, &[insert(5, row!["a", 1]), insert(5, row!["b", 1])]).await?;
    check_eq!(table(&store, "t").await?, [row!["a", 1, 5], row!["b", 1, 5]], "the same rows again change nothing");
    w.commit(&*store, &[delete(5, gone("b"))]).await?;
    check_eq!(table(&store, "t").await?, [row!["a", 1, 5]], "a delete of the same version stands");
    if h.abilities().orders_equal_versions {
        w.commit(&*store, &[insert(5, row!["a", 0]), update(5, row!["b", 2]), update(5, row!["b", 3])]).await?;
        check_eq!(table(&store, "t").await?, [row!["a", 0, 5], row!["b", 3, 5]], "the later write of the same version stands");
        w.commit(&*store, &[insert(5, row!["c", 4])]).await?;
        check_eq!(table(&store, "t").await?.len(), 3, "a write after a delete of the same version stands");
    }
    Ok(())
}

/// A delete wins over all lower versions, also over those that arrive after it, also after a restart.
pub async fn a_delete_wins_over_lower_versions(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::single("t");
    let (mut store, mut w) = store_with(h, &spec).await?;
    w.commit(&*store, &[insert(3, row!["a", 1]), insert(9, row!["b", 1])]).await?;
    w.commit(&*store, &[delete(5, gone("a")), delete(5, gone("b")), delete(5, gone("c"))]).await?;
    check_eq!(table(&store, "t").await?, [row!["b", 1, 9]], "a delete removes the lower version and leaves the higher one");
    check_eq!(
        pages(&store, "t", &super::partition_of([millstream_core::Value::Str("a".into())])).await?,
        Vec::<Row>::new(),
        "it is not read"
    );
    w.commit(&*store, &[insert(4, row!["a", 2]), insert(4, row!["c", 2])]).await?;
    check_eq!(table(&store, "t").await?, [row!["b", 1, 9]], "a lower version that arrives after the delete does not show");
    if h.abilities().keeps_data {
        store = restarted(h, store, &spec).await?;
        w.commit(&*store, &[insert(4, row!["a", 3]), insert(4, row!["c", 3])]).await?;
        check_eq!(table(&store, "t").await?, [row!["b", 1, 9]], "nor after a restart");
    }
    w.commit(&*store, &[insert(6, row!["a", 4]), update(6, row!["c", 4])]).await?;
    check_eq!(table(&store, "t").await?.len(), 3, "a higher version shows again");
    Ok(())
}

/// Keys may repeat within an epoch: what stands is what the versions and the order say.
pub async fn keys_may_repeat_within_an_epoch(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut w) = store_with(h, &tables::single("t")).await?;
    let mut changes: Vec<_> = (0..40_i64).map(|i| insert(100 - i % 7, row!["a", i])).collect();
    changes.extend([insert(1, row!["b", 1]), delete(2, gone("b")), delete(3, gone("c")), insert(2, row!["c", 1]), insert(4, row!["c", 2])]);
    w.commit(&*store, &changes).await?;
    check_eq!(table(&store, "t").await?, [row!["a", 35, 100], row!["c", 2, 4]], "one row a key, the winner of the epoch");
    Ok(())
}

/// What the contract says of versions, written down as a map.
#[derive(Default)]
struct Model(BTreeMap<String, (i64, Option<Row>)>);

impl Model {
    fn apply(&mut self, change: &Change) {
        let key = format!("{:?}", &change.row[..4]);
        if self.0.get(&key).is_some_and(|(version, _)| *version > change.version) {
            return;
        }
        let row = (change.kind != ChangeKind::Delete).then(|| change.row.clone());
        self.0.insert(key, (change.version, row));
    }

    fn rows(&self) -> Vec<Row> {
        let with_version =
            |(version, row): &(i64, Option<Row>)| row.as_ref().map(|r| r.iter().cloned().chain([Cell::Int(*version)]).collect::<Row>());
        let mut rows: Vec<Row> = self.0.values().filter_map(with_version).collect();
        sort(&mut rows);
        rows
    }
}

/// Seeded random epochs of inserts, updates and deletes over few keys, with restarts and replays in between, against the model.
pub async fn random_epochs_leave_what_a_model_holds(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::events("t");
    for seed in 1..=3 {
        let (mut store, mut writer) = store_with(h, &spec).await?;
        let distinct = !h.abilities().orders_equal_versions;
        let (mut model, mut random) = (Model::default(), Changes::seeded(seed, 30).with_distinct_versions(distinct));
        for step in 0..40 {
            let count = random.below(25);
            let changes = random.next(count);
            let write = writer.write(writer.epoch.next(), &changes, 1 + random.below(9))?;
            store.commit(write.clone()).await?;
            writer.epoch = writer.epoch.next();
            changes.iter().for_each(|c| model.apply(c));
            match random.below(10) {
                0 if h.abilities().keeps_data => store = restarted(h, store, &spec).await?,
                1 | 2 => drop(store.commit(write).await?),
                _ => {}
            }
            check_eq!(table(&store, "t").await?, model.rows(), "seed {seed}, step {step}: the table holds what the model holds");
        }
        check_eq!(writer.epoch, Epoch(40), "all epochs were committed");
        store.drop_table("t").await?;
        drop(store);
    }
    Ok(())
}

/// A row is gone from every read when its version plus the TTL is not after now.
pub async fn rows_expire_by_version_and_ttl(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().settable_clock {
        return Err(Failure::skipped("its clock can't be set"));
    }
    let spec = tables::with_ttl(tables::events("t"), Duration::from_secs(60));
    let start = 1_704_067_200_000_000_i64;
    h.clock().set(Timestamp(start));
    let (store, mut w) = store_with(h, &spec).await?;
    let changes = [
        insert(start, event("EWR", 1, 1, 1, 1)),
        insert(start + 1_000_000, event("EWR", 1, 2, 2, 2)),
        insert(start - 60_000_000, event("EWR", 1, 3, 3, 3)),
    ];
    w.commit(&*store, &changes).await?;
    let ids = |rows: Vec<Row>| rows.into_iter().map(|r| r[3].clone()).collect::<Vec<_>>();
    let alive = async |expected: &[i64], when: &str| -> CaseResult {
        let expected: Vec<_> = expected.iter().map(|id| Cell::Int(*id)).collect();
        check_eq!(ids(pages(&store, "t", &events_of("EWR", 1)).await?), expected, "{when}: a read of the partition");
        let scan = store.snapshot().await?.scan("t", &Scan::default()).await?;
        check_eq!(ids(collect(scan).await?), expected, "{when}: a scan");
        Ok(())
    };
    alive(&[2, 1], "at once (row 3 was too old when it was written)").await?;
    h.clock().set(Timestamp(start + 59_999_999));
    alive(&[2, 1], "a microsecond before the first expires").await?;
    h.clock().set(Timestamp(start + 60_000_000));
    alive(&[2], "when version plus TTL is now").await?;
    h.clock().set(Timestamp(start + 61_000_000));
    alive(&[], "after the last one expired").await?;
    Ok(())
}

/// Expiry counts from the version: writing the same row again, or an older one, never extends it; a greater version does.
pub async fn writing_a_row_again_does_not_extend_its_life(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().settable_clock {
        return Err(Failure::skipped("its clock can't be set"));
    }
    let spec = tables::with_ttl(tables::single("t"), Duration::from_secs(60));
    let start = 1_704_067_200_000_000_i64;
    h.clock().set(Timestamp(start));
    let (store, mut w) = store_with(h, &spec).await?;
    w.commit(&*store, &[insert(start, row!["a", 1]), insert(start, row!["b", 1])]).await?;
    h.clock().set(Timestamp(start + 50_000_000));
    w.commit(&*store, &[insert(start, row!["a", 1]), update(start + 50_000_000, row!["b", 2])]).await?;
    h.clock().set(Timestamp(start + 70_000_000));
    let rows = table(&store, "t").await?;
    check!(rows.iter().all(|r| r[0] != "a".into()), "a row written again with its version expires when it would have");
    check_eq!(rows.len(), 1, "a row with a greater version lives on");
    w.commit(&*store, &[insert(start, row!["a", 1])]).await?;
    check_eq!(table(&store, "t").await?.len(), 1, "a row written again after it expired does not come back");
    Ok(())
}
