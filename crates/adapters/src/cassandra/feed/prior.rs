//! What rows are before they change: read for tables with a feed alone, several rows of a partition at a time.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};
use millstream_core::{Result, Timestamp};

use super::super::client::{self, Client, Use};
use super::super::column::Column;
use super::super::encode::Scratch;
use super::super::names::quoted;
use super::super::rows::{RawRow, Rows};
use super::super::table::Table;
use super::FeedTable;
use super::kinds::Prior;

/// At most so many rows are asked for at once.
const KEYS_MAX: usize = 64;

/// A row that was found: its version and its values.
type Found = (i64, Vec<Option<Vec<u8>>>);

/// What each of the rows `which` is now, in their order.
pub(super) async fn read(
    client: &Client,
    table: &Table,
    feed: &FeedTable,
    rows: &Rows,
    which: &[usize],
    has_deletes: bool,
    now: Timestamp,
) -> Result<Vec<Prior>> {
    let operation = format!("reading rows of table {} before they change", table.spec.name);
    let select = table.select(&table.columns, true);
    let width = table.columns.len();
    let of_row = |cells: &[Option<&[u8]>]| {
        let (values, versions) = cells.split_at(width);
        let version = Table::version_of(versions);
        let key: Vec<Option<&[u8]>> = table.key.iter().map(|i| values[*i]).collect();
        (!table.is_expired(version, now)).then(|| (key_bytes(&key), (version.0, owned(values))))
    };
    let found = look_up(client, table, rows, which, &operation, &select, of_row).await?;
    let absent: Vec<usize> = which.iter().copied().filter(|row| !found.contains_key(rows.key(*row))).collect();
    let mut deleted = HashMap::new();
    if has_deletes && !absent.is_empty() {
        let keys: Vec<_> = table.key_columns().map(|c| quoted(&c.name)).collect();
        let select = format!("SELECT {}, \"_deleted\" FROM {}", keys.join(", "), feed.deletes);
        let of_row = |cells: &[Option<&[u8]>]| {
            let (key, version) = cells.split_at(table.key.len());
            Some((key_bytes(key), (Table::version_of(version).0, Vec::new())))
        };
        deleted = look_up(client, table, rows, &absent, &operation, &select, of_row).await?;
    }
    Ok(which.iter().map(|row| prior(rows.key(*row), rows.changes.version(*row).0, &found, &deleted)).collect())
}

fn prior(key: &[u8], version: i64, found: &HashMap<Vec<u8>, Found>, deleted: &HashMap<Vec<u8>, Found>) -> Prior {
    match (found.get(key), deleted.get(key)) {
        (Some((present, values)), _) if *present == version => Prior::Present(*present, values.clone()),
        (Some((present, _)), _) => Prior::Present(*present, Vec::new()),
        (None, Some((deleted, _))) => Prior::Deleted(*deleted),
        (None, None) => Prior::Absent,
    }
}

async fn look_up(
    client: &Client,
    table: &Table,
    rows: &Rows,
    which: &[usize],
    operation: &str,
    select: &str,
    of_row: impl Fn(&[Option<&[u8]>]) -> Option<(Vec<u8>, Found)>,
) -> Result<HashMap<Vec<u8>, Found>> {
    let of_row = &of_row;
    let one = |group: Vec<usize>| async move {
        let padded = group.len().next_power_of_two();
        let statement = client.prepare(Use::QuorumRead, &format!("{select} WHERE {}", condition(table, padded))).await?;
        let values = values(table, rows, &group, padded);
        let answer = client::rows(operation, client.read(operation, &statement, RawRow(&values)).await?)?;
        let mut found = Vec::new();
        client::cells(operation, &answer, |cells| {
            found.extend(of_row(cells));
            Ok(())
        })?;
        Ok::<_, millstream_core::Error>(found)
    };
    let groups = groups(table, rows, which);
    let found: Vec<Vec<_>> =
        futures::stream::iter(groups.into_iter().map(one)).buffer_unordered(client.settings.reads_in_flight).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// `which` in groups that one statement can ask for: rows of one partition, or single ones where partitions have one row.
fn groups(table: &Table, rows: &Rows, which: &[usize]) -> Vec<Vec<usize>> {
    if table.key.len() == table.partition_len() {
        return which.iter().map(|row| vec![*row]).collect();
    }
    let mut open: HashMap<&[u8], usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for row in which {
        let group = open.entry(rows.partition(*row)).or_insert(usize::MAX);
        if groups.get(*group).is_none_or(|g| g.len() >= KEYS_MAX) {
            groups.push(Vec::new());
            *group = groups.len() - 1;
        }
        groups[*group].push(*row);
    }
    groups
}

/// The partition key, and `keys` clustering keys.
fn condition(table: &Table, keys: usize) -> String {
    let clustering: Vec<&Column> = table.clustering_columns().collect();
    let partition = table.equals(table.partition_columns());
    match (clustering.as_slice(), keys) {
        ([], _) => partition,
        (columns, 1) => format!("{partition} AND {}", table.equals(columns.iter().copied())),
        ([one], _) => format!("{partition} AND {} IN ({})", quoted(&one.name), vec!["?"; keys].join(", ")),
        (columns, _) => {
            let names: Vec<_> = columns.iter().map(|c| quoted(&c.name)).collect();
            let tuple = format!("({})", vec!["?"; columns.len()].join(", "));
            format!("{partition} AND ({}) IN ({})", names.join(", "), vec![tuple; keys].join(", "))
        }
    }
}

/// The values of the keys of `group`; the last one is repeated up to `padded`, so that few statements serve groups of any size.
fn values(table: &Table, rows: &Rows, group: &[usize], padded: usize) -> Vec<Option<Vec<u8>>> {
    let (partition, clustering) = table.key.split_at(table.partition_len());
    let mut scratch = Scratch::default();
    let mut value = |row: usize, index: &usize| rows.cells[*index].value(row, &mut scratch).map(<[u8]>::to_vec);
    let Some(last) = group.last() else { return Vec::new() };
    let mut values: Vec<_> = partition.iter().map(|i| value(*last, i)).collect();
    for row in group.iter().chain(std::iter::repeat_n(last, padded - group.len())) {
        values.extend(clustering.iter().map(|i| value(*row, i)));
    }
    values
}

fn owned(values: &[Option<&[u8]>]) -> Vec<Option<Vec<u8>>> {
    values.iter().map(|v| v.map(<[u8]>::to_vec)).collect()
}

/// A key as [`Rows::key`] writes it.
fn key_bytes(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    for value in values.iter().map(|v| v.unwrap_or_default()) {
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}
