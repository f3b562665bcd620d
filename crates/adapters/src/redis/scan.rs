//! Whole tables: their keys by `SCAN`, and their rows in key order.
//!
//! Redis has no order of keys, and an index would have to be written with every row and cleaned of expired ones. So a scan looks through the
//! whole database for the table's keys (`SCAN MATCH`, which blocks nobody), sorts them in memory, and reads the rows page by page. It costs a
//! step of the server for each key of the database and about 200 bytes of memory for each key of the table, bounded by `scan_keys_max`.
//! A row that is there throughout is returned once; one that comes or goes meanwhile may be.

use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use millstream_core::batches::BatchStream;
use millstream_core::ports::Clock;
use millstream_core::{Error, Result, Value};
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, RedisResult};

use super::changes::Table;
use super::link::{Connection, Link};
use super::settings::RedisSettings;

/// How many keys Redis looks at for one page.
const KEYS_A_PAGE: usize = 1_000;

/// How many rows are read at once.
const ROWS_A_BATCH: usize = 512;

/// The keys that match `pattern`, page by page; one may come twice. All servers of a cluster are asked in turn.
pub(super) fn key_pages(link: Arc<Link>, pattern: Vec<u8>) -> impl Stream<Item = Result<Vec<Vec<u8>>>> {
    // The slots that stand for the servers still to be asked, and where the first of them goes on; `None`: not known yet.
    let start: Option<(Vec<Option<u16>>, String)> = None;
    futures::stream::try_unfold(start, move |state| {
        let (link, pattern) = (link.clone(), pattern.clone());
        async move {
            let (mut servers, cursor) = match state {
                Some(state) => state,
                None => (link.with("listing the cluster's servers", servers).await?, "0".to_owned()),
            };
            let Some(server) = servers.last().copied() else { return Ok(None) };
            let mut call = redis::cmd("SCAN");
            call.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(KEYS_A_PAGE);
            let page = link.with("scanning keys", |connection| ask(connection, call, server)).await?;
            let (cursor, keys): (String, Vec<Vec<u8>>) = redis::from_redis_value(page)
                .map_err(|e| Error::corrupt("redis answered SCAN with something else").caused_by(e.to_string()))?;
            if cursor == "0" {
                servers.pop();
            }
            Ok(Some((keys, Some((servers, cursor)))))
        }
    })
}

/// For each server that holds keys a slot of it; `None` for the only one.
async fn servers(mut connection: Connection) -> RedisResult<Vec<Option<u16>>> {
    if matches!(connection, Connection::Single(_)) {
        return Ok(vec![None]);
    }
    let mut call = redis::cmd("CLUSTER");
    call.arg("SLOTS");
    let ranges: Vec<Vec<redis::Value>> = call.query_async(&mut connection).await?;
    let mut servers: Vec<(redis::Value, u16)> = Vec::new();
    for range in ranges {
        let [first, _, primary, ..] = range.as_slice() else { continue };
        let slot: u16 = redis::from_redis_value(first.clone())?;
        if !servers.iter().any(|(known, _)| known == primary) {
            servers.push((primary.clone(), slot));
        }
    }
    Ok(servers.into_iter().map(|(_, slot)| Some(slot)).collect())
}

/// Asks the server that holds `slot`, or the only one.
async fn ask(mut connection: Connection, call: Cmd, slot: Option<u16>) -> RedisResult<redis::Value> {
    match (&mut connection, slot) {
        (Connection::Cluster(cluster), Some(slot)) => {
            let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
            cluster.route_command(call, RoutingInfo::SingleNode(route)).await
        }
        _ => call.query_async(&mut connection).await,
    }
}

/// The rows of `table` that live, in key order: the columns at `columns`, or all.
pub(super) async fn rows(
    link: Arc<Link>,
    settings: Arc<RedisSettings>,
    clock: Arc<dyn Clock>,
    table: Arc<Table>,
    columns: Option<Vec<usize>>,
) -> Result<BatchStream> {
    table.rows.reader(columns.as_deref())?;
    let keys = sorted_keys(link.clone(), &settings, &table).await?;
    let batches = futures::stream::try_unfold(keys.into_iter(), move |mut keys| {
        let (link, settings, clock, table, columns) = (link.clone(), settings.clone(), clock.clone(), table.clone(), columns.clone());
        async move {
            loop {
                let page: Vec<Vec<Value>> = keys.by_ref().take(ROWS_A_BATCH).collect();
                if page.is_empty() {
                    return Ok(None);
                }
                let calls = page.iter().map(|key| Ok(table.rows.read(&table.keys.of_values(key)?, columns.as_deref())));
                let calls = calls.collect::<Result<Vec<_>>>()?;
                let in_flight = settings.calls_in_flight;
                let replies = link.with("reading rows", |connection| read(connection, calls, in_flight)).await?;
                let (now, mut reader) = (clock.now(), table.rows.reader(columns.as_deref())?);
                for reply in &replies {
                    reader.push(reply, |version| !table.is_expired(version, now))?;
                }
                if reader.rows() > 0 {
                    return Ok(Some((reader.finish()?, keys)));
                }
            }
        }
    });
    Ok(batches.boxed())
}

async fn read(mut connection: Connection, calls: Vec<Cmd>, in_flight: usize) -> RedisResult<Vec<redis::Value>> {
    if matches!(connection, Connection::Cluster(_)) {
        let each = futures::stream::iter(calls).map(|call| {
            let mut connection = connection.clone();
            async move { call.query_async(&mut connection).await }
        });
        return each.buffered(in_flight).try_collect().await;
    }
    let mut all = redis::pipe();
    calls.into_iter().for_each(|call| {
        all.add_command(call);
    });
    all.query_async(&mut connection).await
}

/// The values of all keys of the table, in order, each once.
async fn sorted_keys(link: Arc<Link>, settings: &RedisSettings, table: &Table) -> Result<Vec<Vec<Value>>> {
    let mut found = Vec::new();
    let mut pages = std::pin::pin!(key_pages(link, table.keys.pattern()));
    while let Some(keys) = pages.try_next().await? {
        if found.len() + keys.len() > settings.scan_keys_max {
            return Err(Error::exhausted(format!(
                "table {} has more than {} keys in Redis: read it by key, or raise redis.scan_keys_max",
                table.spec.name, settings.scan_keys_max
            )));
        }
        for key in keys {
            found.push(table.keys.values(&key)?);
        }
    }
    found.sort_unstable_by(|a, b| table.keys.compare(a, b));
    found.dedup();
    Ok(found)
}
