//! What the demo prints when everything is processed: figures, all of them asked from the pipeline itself.

use std::fmt::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use millstream_core::ports::{Clock, EventLog, SystemClock};
use millstream_core::{Result, Size, TableKind, TopicPartition};
use millstream_engine::verify::VerifyReport;
use millstream_pipeline::graph::Binding;

use crate::publisher::Published;
use crate::service::Addresses;
use crate::sql;
use crate::wiring::Opened;

/// When the demo began, and when every flow had processed everything.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Microseconds since the epoch.
    pub started_micros: i64,
    /// Microseconds since the epoch.
    pub caught_up_micros: i64,
}

/// The summary.
pub async fn text(opened: &Opened, published: &Published, report: &VerifyReport, times: Times) -> Result<String> {
    let session = opened.engine.session()?;
    let mut text = String::new();
    let _ = writeln!(text, "rows");
    for (name, rows) in rows_per_table(opened, &session).await? {
        let _ = writeln!(text, "  {name:<36} {:>9}", grouped(rows));
    }
    let _ = writeln!(text, "\nworst carriers by average departure delay (minutes)");
    for row in table(&session, WORST).await? {
        let _ = writeln!(text, "  {:<3} {:<28} {:>6}  of {:>7} flights", row[0], row[1], row[2], row[3]);
    }
    let critical = table(&session, "select origin, count(*) from critical_delays group by origin order by origin").await?;
    let total: u64 = critical.iter().filter_map(|row| row[1].parse::<u64>().ok()).sum();
    let origins: Vec<_> = critical.iter().map(|row| format!("{} {}", row[0], row[1])).collect();
    let _ = writeln!(text, "\ncritical delays  {} ({})", grouped(total), origins.join(", "));
    let _ = writeln!(text, "late rows        {}", count(&session, "select count(*) from system.late_rows").await?);
    let _ = writeln!(text, "dead letters     {}", count(&session, "select count(*) from system.dead_letters").await?);
    if published.sequence.has_faults() {
        faults(&mut text, &session, published).await?;
    }
    let _ = writeln!(text, "\nverify: {}", if report.is_clean() { "everything is accounted for" } else { "PROBLEMS" });
    for line in report.to_string().lines() {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\n{}", figures(published, times));
    Ok(text)
}

const WORST: &str = "select d.carrier, a.name, cast(avg(d.dep_delay) as decimal(10, 2)), count(*) \
    from departures d join airlines a on d.carrier = a.carrier group by d.carrier, a.name order by avg(d.dep_delay) desc nulls last limit 10";

/// Every table's rows; a topic's are its records.
async fn rows_per_table(opened: &Opened, session: &SessionContext) -> Result<Vec<(String, u64)>> {
    let mut rows = Vec::new();
    for (name, table) in &opened.pipeline.tables {
        let n = match &table.binding {
            Binding::Topic(topic) => records(opened.ports.log.as_ref(), &topic.name, topic.partitions).await?,
            _ => count(session, &format!("select count(*) from \"{name}\"")).await?,
        };
        rows.push((table.spec.kind, format!("{name} ({})", table.spec.kind.as_str()), n));
    }
    // In the order of the architecture's boxes.
    let boxes = [
        TableKind::Topic,
        TableKind::EventStore,
        TableKind::Critical,
        TableKind::Reference,
        TableKind::Report,
        TableKind::Lake,
        TableKind::System,
    ];
    rows.sort_by_key(|(kind, ..)| boxes.iter().position(|b| b == kind));
    Ok(rows.into_iter().map(|(_, name, n)| (name, n)).collect())
}

async fn records(log: &dyn EventLog, topic: &str, partitions: i32) -> Result<u64> {
    let mut records = 0;
    for partition in 0..partitions {
        let bounds = log.bounds(&TopicPartition::new(topic, partition)).await?;
        records += u64::try_from(bounds.end.0 - bounds.start.0).unwrap_or(0);
    }
    Ok(records)
}

/// Where the faults went.
async fn faults(text: &mut String, session: &SessionContext, published: &Published) -> Result<()> {
    let sent = &published.sequence;
    let dead = table(session, "select flow, count(*) from system.dead_letters group by flow order by flow").await?;
    let late = table(session, "select flow, count(*) from system.late_rows group by flow order by flow").await?;
    let by_flow = |rows: &[Vec<String>]| rows.iter().map(|row| format!("{} for {}", row[1], row[0])).collect::<Vec<_>>().join(", ");
    let rows = count(session, "select count(*) from departures").await?;
    let late_rows = count(session, "select count(*) from departures where event_id > 1000000").await?;
    let counted = count(session, "select sum(flights) from hourly_delays").await?;
    let _ = writeln!(text, "\nwhere the faults went");
    let _ = writeln!(text, "  {} malformed: in system.dead_letters ({})", sent.malformed, by_flow(&dead));
    let _ = writeln!(
        text,
        "  {} duplicates: departures absorbed them ({} rows from {} flights, their copies and {} late events); hourly_delays counts each twice \
         (its flights add up to {}: {} and {} duplicates)",
        sent.duplicates,
        grouped(rows),
        grouped(sent.flights),
        sent.late,
        grouped(counted),
        grouped(sent.flights),
        sent.duplicates
    );
    let _ = writeln!(text, "  {} late: {late_rows} in departures, which has no windows; in system.late_rows {}", sent.late, by_flow(&late));
    Ok(())
}

/// Wall time, rates and memory.
fn figures(published: &Published, times: Times) -> String {
    let seconds = |micros: i64| f64::from(i32::try_from(micros / 1_000).unwrap_or(i32::MAX)) / 1_000.0;
    let wall = seconds(SystemClock.now().micros() - times.started_micros);
    let rate = |n: u64, s: f64| {
        if s > 0.0 { grouped((f64::from(u32::try_from(n).unwrap_or(u32::MAX)) / s).round() as u64) } else { "-".to_owned() }
    };
    let publishing = seconds(published.micros);
    let through = seconds(times.caught_up_micros - published.began_micros);
    let before = match published.sequence.held {
        0 => String::new(),
        held => format!(" ({} were there already)", grouped(held)),
    };
    let memory = peak_memory_bytes().map_or_else(|| "unknown".to_owned(), |bytes| Size(bytes).to_string());
    format!(
        "published {} events{before} in {publishing:.1} s ({} events/s); all processed after {through:.1} s ({} events/s)\n\
         wall time {wall:.1} s, peak memory {memory}\n",
        grouped(published.records),
        rate(published.records, publishing),
        rate(published.records, through)
    )
}

/// What to try next.
pub fn next_steps(addresses: Addresses, topic: &str, bootstrap: &str, dir: &Path) -> String {
    let Addresses { http, sql, .. } = addresses;
    format!(
        "\nserving until Ctrl-C\n  \
         status page  http://{http}/\n  \
         psql         psql -h {} -p {} -c 'select * from carrier_daily order by avg_delay desc nulls last limit 5'\n  \
         curl         curl -i 'http://{http}/v1/tables/hourly_delays?origin=EWR&limit=3'\n  \
         kcat         kcat -C -b {bootstrap} -t {topic} -c 3 -e\n  \
         sql          millstream sql -e 'select count(*) from departures' --data-dir {}\n",
        sql.ip(),
        sql.port(),
        dir.display()
    )
}

/// The most memory that this process had resident, as Linux counts it (VmHWM).
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

/// The one number that `query` gives.
async fn count(session: &SessionContext, query: &str) -> Result<u64> {
    let rows = table(session, query).await?;
    Ok(rows.first().and_then(|row| row.first()).and_then(|cell| cell.parse().ok()).unwrap_or(0))
}

/// All cells of `query`'s rows as text.
async fn table(session: &SessionContext, query: &str) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for batch in sql::collect(session, query).await? {
        for row in 0..batch.num_rows() {
            rows.push(cells(&batch, row)?);
        }
    }
    Ok(rows)
}

fn cells(batch: &RecordBatch, row: usize) -> Result<Vec<String>> {
    Ok(batch.columns().iter().map(|column| array_value_to_string(column, row)).collect::<std::result::Result<_, _>>()?)
}

/// `336776` as `336,776`.
fn grouped(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}
