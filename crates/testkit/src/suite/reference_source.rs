//! The contract of [`ReferenceSource`].

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use millstream_core::ErrorKind;
use millstream_core::ports::ReferenceSource;
use tokio::task::JoinSet;

use super::suite;
use crate::check::{CaseResult, Failure};
use crate::harness::Harness;
use crate::rows::{Cell, Row, rows_of};
use crate::{check, check_eq, row};

/// Puts other rows in the place of the source's data.
pub type Replace = Arc<dyn Fn(&[Row]) -> millstream_core::Result<()> + Send + Sync>;

/// What the suite tests: a source of a table with the columns of [`table`], and how somebody else changes its data.
#[derive(Clone)]
pub struct Port {
    /// The source.
    pub source: Arc<dyn ReferenceSource>,
    /// Replaces all of its rows, at once, as the data's owner would (for files: writes another and renames it).
    pub replace: Replace,
}

/// The table's columns: `id` BIGINT, `name` STRING, both nullable.
#[must_use]
pub fn table() -> SchemaRef {
    crate::tables::schema(&[("id", DataType::Int64, true), ("name", DataType::Utf8, true)])
}

suite!(
    "reference source",
    Port,
    [
        all_rows_are_loaded,
        the_schema_is_that_of_the_rows,
        the_revision_changes_when_the_data_does,
        a_load_sees_what_was_replaced,
        a_change_in_the_middle_of_a_load_is_never_a_mixture,
        a_load_beside_changes_is_never_a_mixture,
    ]
);

fn rows(count: i64, name: &str) -> Vec<Row> {
    (0..count).map(|id| row![id, format!("{name}-{id}")]).collect()
}

async fn load(port: &Port) -> millstream_core::Result<Vec<Row>> {
    let batches = port.source.load().await?;
    let mut rows = batches.iter().map(rows_of).collect::<Result<Vec<_>, _>>()?.concat();
    // A relational table has no order of its own.
    rows.sort_by_key(|row| if let Cell::Int(id) = row[0] { id } else { i64::MAX });
    Ok(rows)
}

async fn port_with(h: &dyn Harness<Port>, rows: &[Row]) -> CaseResult<Port> {
    let port = h.open().await?;
    (port.replace)(rows)?;
    Ok(port)
}

/// All rows, nulls too, each time.
pub async fn all_rows_are_loaded(h: &dyn Harness<Port>) -> CaseResult {
    let mut expected = rows(25, "a");
    expected.push(row![25, None::<String>]);
    let port = port_with(h, &expected).await?;
    check_eq!(load(&port).await?, expected, "all rows are loaded");
    check_eq!(load(&port).await?, expected, "and again");
    Ok(())
}

/// `schema` is the schema of what `load` returns.
pub async fn the_schema_is_that_of_the_rows(h: &dyn Harness<Port>) -> CaseResult {
    let port = port_with(h, &rows(3, "a")).await?;
    let schema = port.source.schema().await?;
    check_eq!(schema, table(), "the columns are those of the data");
    for batch in port.source.load().await? {
        check_eq!(batch.schema(), schema, "a batch has the columns of the schema");
    }
    Ok(())
}

/// The revision stays while the data stays, and changes with it.
pub async fn the_revision_changes_when_the_data_does(h: &dyn Harness<Port>) -> CaseResult {
    let port = port_with(h, &rows(3, "a")).await?;
    let first = port.source.revision().await?;
    load(&port).await?;
    check_eq!(port.source.revision().await?, first, "reading leaves the revision");
    (port.replace)(&rows(4, "a"))?;
    let second = port.source.revision().await?;
    check!(second != first, "the revision changes with the data ({first})");
    // The same number of bytes.
    (port.replace)(&rows(4, "b"))?;
    check!(port.source.revision().await? != second, "also when its size stays ({second})");
    Ok(())
}

/// The next load shows the new rows.
pub async fn a_load_sees_what_was_replaced(h: &dyn Harness<Port>) -> CaseResult {
    let port = port_with(h, &rows(30, "a")).await?;
    load(&port).await?;
    (port.replace)(&rows(10, "b"))?;
    check_eq!(load(&port).await?, rows(10, "b"), "the new rows are loaded, and none of the old");
    let port = if h.abilities().keeps_data { h.reopen(port).await? } else { port };
    check_eq!(load(&port).await?, rows(10, "b"), "also after a restart");
    Ok(())
}

/// `loaded` is all rows of one generation, or the load failed as it may.
fn whole(loaded: millstream_core::Result<Vec<Row>>) -> CaseResult {
    let generation = |row: &Row| format!("{:?}", row[1]).split('-').next().map(str::to_owned);
    match loaded {
        Ok(loaded) => {
            let first = loaded.first().and_then(generation);
            check!(loaded.iter().all(|r| generation(r) == first), "a load is of one generation: {}", crate::check::shortened(&loaded));
            let n: i64 = first.as_deref().and_then(|g| g.rsplit(' ').next()?.parse().ok()).unwrap_or(-1);
            check_eq!(loaded.len(), rows_of_generation(n).len(), "a load of generation {n} is whole");
        }
        Err(error) => check_eq!(error.kind(), ErrorKind::Unavailable, "a load beside a change may only fail as unavailable ({error})"),
    }
    Ok(())
}

fn rows_of_generation(n: i64) -> Vec<Row> {
    rows(200 + n % 50, &format!("generation {n}"))
}

/// A change after a load has begun: old or new rows, or `Unavailable`.
pub async fn a_change_in_the_middle_of_a_load_is_never_a_mixture(h: &dyn Harness<Port>) -> CaseResult {
    let port = port_with(h, &rows_of_generation(0)).await?;
    for n in 1..=20 {
        let mut loading = Box::pin(load(&port));
        let early = futures::poll!(&mut loading);
        (port.replace)(&rows_of_generation(n))?;
        let loaded = match early {
            std::task::Poll::Ready(loaded) => loaded,
            std::task::Poll::Pending => loading.await,
        };
        whole(loaded)?;
    }
    Ok(())
}

/// Loads beside changes: old or new rows, or `Unavailable`.
pub async fn a_load_beside_changes_is_never_a_mixture(h: &dyn Harness<Port>) -> CaseResult {
    let port = port_with(h, &rows_of_generation(0)).await?;
    let replace = port.replace.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for n in 1..=200 {
            replace(&rows_of_generation(n))?;
            tokio::task::yield_now().await;
        }
        Ok::<_, millstream_core::Error>(())
    });
    loop {
        let ended = tasks.try_join_next();
        whole(load(&port).await)?;
        if let Some(done) = ended {
            done.map_err(|e| Failure::Broken(format!("the writer ends: {e}")))??;
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
