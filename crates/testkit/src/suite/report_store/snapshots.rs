//! What readers see while reports are published: one moment.

use futures::StreamExt;
use tokio::task::JoinSet;

use super::{Port, line, lines, publish, scan, store_with};
use crate::changes::{Writer, insert};
use crate::check::{CaseResult, Failure};
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect, rows_of};
use crate::tables;
use crate::{check, check_eq};
/// Readers beside publications: run n has every row at n, so two values in one scan are half a report.
pub async fn readers_see_the_old_or_the_new_report_whole(h: &dyn Harness<Port>) -> CaseResult {
    const RUNS: u64 = 30;
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    publish(&store, &spec, 1, &lines(100, 1)).await?;
    let (writing, writing_spec) = (store.clone(), spec.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for run in 2..=RUNS {
            let n = i64::try_from(run).unwrap_or(0);
            // Sizes differ too, so that rows left over from an earlier run show.
            let count = 50 + i32::try_from(run % 7).unwrap_or(0) * 10;
            publish(&writing, &writing_spec, run, &lines(count, n)).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, Failure>(())
    });
    let mut last = 1;
    loop {
        let ended = tasks.try_join_next();
        let rows = scan(&store, "r").await?;
        let Some(Cell::Int(n)) = rows.first().map(|r| r[2].clone()) else {
            return Err(Failure::Broken("a reader never sees an empty report between two publications".to_owned()));
        };
        let count = if n == 1 { 100 } else { usize::try_from(50 + n % 7 * 10).unwrap_or(0) };
        check!(rows.iter().all(|r| r[2] == Cell::Int(n)), "a reader sees one run's rows alone: {}", crate::check::shortened(&rows));
        check_eq!(rows.len(), count, "a reader sees all rows of run {n}");
        check!(n >= last, "a later reader never sees an older run ({n} after {last})");
        last = n;
        if let Some(done) = ended {
            done.map_err(|e| Failure::Broken(format!("the publisher ends: {e}")))??;
            check_eq!(u64::try_from(n), Ok(RUNS), "the last run is read at last");
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// A scan is of one publication, however slowly it is read.
pub async fn a_scan_that_has_begun_stays_with_its_report(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    // Enough rows that no store reads them all before the first is asked for.
    let count = 20_000;
    publish(&store, &spec, 1, &lines(count, 1)).await?;
    let mut begun = store.snapshot().await?.scan("r", None).await?;
    let first = begun.next().await.transpose()?;
    publish(&store, &spec, 2, &lines(30, 2)).await?;
    publish(&store, &spec, 3, &lines(40, 3)).await?;
    let mut rows = first.map(|b| rows_of(&b)).transpose()?.unwrap_or_default();
    rows.extend(collect(begun).await?);
    check_eq!(rows.len(), lines(count, 1).len(), "the scan returns all rows of the report that it began with");
    check!(rows.iter().all(|r| r[2] == Cell::Int(1)), "and none of the later ones");
    Ok(())
}

/// Later publications, epochs and reports don't show in it, in none of its scans.
pub async fn a_snapshot_is_of_one_moment(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let upserted = tables::report("upserted");
    let store = store_with(h, &spec).await?;
    store.ensure_report(&upserted).await?;
    let mut writer = Writer::begin(&*store, &upserted, "f", 1).await?;
    publish(&store, &spec, 1, &lines(50, 1)).await?;
    writer.commit(&*store, &[insert(1, line("UA", 1, 1))]).await?;
    let snapshot = store.snapshot().await?;
    let first = collect(snapshot.scan("r", None).await?).await?;
    check_eq!(first, lines(50, 1), "a snapshot shows what was published before it");
    publish(&store, &spec, 2, &lines(40, 2)).await?;
    writer.commit(&*store, &[insert(2, line("UA", 1, 2)), insert(2, line("UA", 2, 2))]).await?;
    store.ensure_report(&tables::report("made_later")).await?;
    publish(&store, &tables::report("made_later"), 1, &lines(10, 1)).await?;
    check_eq!(collect(snapshot.scan("r", None).await?).await?, first, "a later publication does not show in it");
    check_eq!(collect(snapshot.scan("upserted", None).await?).await?, [line("UA", 1, 1)], "nor does a later epoch");
    check_eq!(collect(snapshot.scan("made_later", None).await?).await?, Vec::<Row>::new(), "a report made later has no rows in it");
    drop(snapshot);
    check_eq!(scan(&store, "r").await?, lines(40, 2), "the next snapshot shows the later publication");
    check_eq!(scan(&store, "upserted").await?.len(), 2, "and the later epoch");
    Ok(())
}

/// None waits for another, and all outlive the snapshot.
pub async fn scans_of_a_snapshot_are_read_side_by_side(h: &dyn Harness<Port>) -> CaseResult {
    let spec = tables::report("r");
    let store = store_with(h, &spec).await?;
    let count = 20_000;
    publish(&store, &spec, 1, &lines(count, 1)).await?;
    let snapshot = store.snapshot().await?;
    let mut slow = snapshot.scan("r", None).await?;
    let begun = slow.next().await.transpose()?;
    let quick = snapshot.scan("r", Some(vec![2])).await?;
    drop(snapshot);
    publish(&store, &spec, 2, &lines(10, 2)).await?;
    check_eq!(collect(quick).await?.len(), lines(count, 1).len(), "a scan is read to its end while another waits");
    let mut rows = begun.map(|b| rows_of(&b)).transpose()?.unwrap_or_default();
    rows.extend(collect(slow).await?);
    check_eq!(rows, lines(count, 1), "and the other goes on where it was");
    Ok(())
}
