//! Reads of one partition: order, prefixes, bounds, pages; and scans.

use arrow::datatypes::DataType;
use millstream_core::ports::{Bound, PartitionQuery, Scan};
use millstream_core::{ErrorKind, SortOrder, TableSpec, Value, Version};

use super::{Port, events_of, pages, partition_of, store_with, table};
use crate::changes::{Writer, delete, insert, inserts};
use crate::check::{CaseResult, refused};
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect, date, rows_of};
use crate::tables::{self, event, event_key};
use crate::{check, check_eq, row};

/// Rows of (EWR, day 1): 6 timestamps with 4 ids each, in the table's order (ts DESC, id ASC); and some in other partitions.
fn grid() -> Vec<Row> {
    let times = [50, 40, 30, 20, 10, -10];
    times.iter().flat_map(|ts| (1..=4).map(move |id| event("EWR", 1, *ts, id, 1))).collect()
}

async fn grid_store(h: &dyn Harness<Port>) -> CaseResult<Port> {
    let (store, mut w) = store_with(h, &tables::events("t")).await?;
    let mut rows = grid();
    rows.reverse();
    rows.rotate_left(7);
    rows.extend([event("EWR", 2, 30, 1, 1), event("EWR", 0, 30, 1, 1), event("EWS", 1, 30, 1, 1), event("EW", 1, 30, 1, 1)]);
    for chunk in rows.chunks(9) {
        w.commit(&*store, &inserts(Version(5), chunk)).await?;
    }
    Ok(store)
}

fn backwards(mut rows: Vec<Row>) -> Vec<Row> {
    rows.reverse();
    rows
}

fn ts(row: &Row) -> i64 {
    if let Cell::Time(v) = row[2] { v } else { 0 }
}

fn id(row: &Row) -> i64 {
    if let Cell::Int(v) = row[3] { v } else { 0 }
}

/// Rows in clustering order, each column in its direction; `reverse` walks the other way.
pub async fn clustering_order_is_that_of_the_table(h: &dyn Harness<Port>) -> CaseResult {
    let store = grid_store(h).await?;
    check_eq!(pages(&store, "t", &events_of("EWR", 1)).await?, grid(), "rows are in order of ts DESC, id ASC");
    let reverse = PartitionQuery { reverse: true, ..events_of("EWR", 1) };
    check_eq!(pages(&store, "t", &reverse).await?, backwards(grid()), "in reverse they are the other way round");
    Ok(())
}

/// Columns of every key type order rows by value, in both directions; every value is found by its key.
pub async fn every_key_type_orders_as_its_values_do(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    for (t, (data_type, values)) in tables::key_types().into_iter().enumerate() {
        for order in [SortOrder::Asc, SortOrder::Desc] {
            let name = format!("t{t}_{order:?}").to_lowercase();
            let spec = tables::clustered_by(&name, data_type.clone(), order);
            check_order(&store, &spec, &values).await?;
        }
        let name = format!("p{t}");
        let mut spec = tables::clustered_by(&name, data_type.clone(), SortOrder::Asc);
        spec.key.partition = vec!["c".to_owned()];
        spec.key.clustering.clear();
        let mut values = values;
        if !h.abilities().empty_partition_keys {
            values.retain(|v| *v != Cell::from("") && *v != Cell::Bytes(Vec::new()));
        }
        check_partitions(&store, &spec, &values).await?;
    }
    Ok(())
}

async fn check_order(store: &Port, spec: &TableSpec, values: &[Cell]) -> CaseResult {
    let (name, data_type, order) = (&spec.name, spec.schema.field(1).data_type(), spec.key.clustering[0].order);
    store.ensure_table(spec).await?;
    let mut w = Writer::begin(&**store, spec, "f", 1).await?;
    let rows: Vec<Row> = values.iter().zip(0_i64..).map(|(c, i)| vec![Cell::Int(7), c.clone(), Cell::Int(i)]).collect();
    let mut shuffled = rows.clone();
    shuffled.rotate_left(values.len() / 2);
    w.commit(&**store, &inserts(Version(1), &shuffled)).await?;
    let query = partition_of([Value::Int(7)]);
    let expected = if order == SortOrder::Asc { rows.clone() } else { backwards(rows.clone()) };
    check_eq!(pages(store, name, &query).await?, expected, "rows are in order of a {data_type} {order:?}");
    let reverse = PartitionQuery { reverse: true, limit: 2, ..query.clone() };
    check_eq!(pages(store, name, &reverse).await?, backwards(expected), "pages of two in reverse order of a {data_type} {order:?}");
    for row in &rows {
        let prefix = row[1].to_value().into_iter().collect();
        let found = pages(store, name, &PartitionQuery { prefix, ..query.clone() }).await?;
        check_eq!(found, std::slice::from_ref(row), "the {data_type} {:?} is found by its value, and nothing else", row[1]);
    }
    let middle = values.len() / 2;
    let bound = |i: usize| values[i].to_value().into_iter().collect::<Vec<_>>();
    let above = PartitionQuery { lower: Bound::Excluded(bound(middle)), ..query.clone() };
    check_eq!(pages(store, name, &above).await?.len(), values.len() - middle - 1, "rows above a {data_type}, {order:?}");
    let below = PartitionQuery { upper: Bound::Included(bound(middle)), ..query };
    check_eq!(pages(store, name, &below).await?.len(), middle + 1, "rows up to a {data_type}, {order:?}");
    Ok(())
}

async fn check_partitions(store: &Port, spec: &TableSpec, values: &[Cell]) -> CaseResult {
    store.ensure_table(spec).await?;
    let mut w = Writer::begin(&**store, spec, "f", 1).await?;
    let rows: Vec<Row> = values.iter().zip(0_i64..).map(|(c, i)| vec![Cell::Int(7), c.clone(), Cell::Int(i)]).collect();
    w.commit(&**store, &inserts(Version(1), &rows)).await?;
    for row in &rows {
        let found = pages(store, &spec.name, &partition_of(row[1].to_value())).await?;
        check_eq!(
            found,
            std::slice::from_ref(row),
            "the partition {:?} ({}) holds its row alone",
            row[1],
            spec.schema.field(1).data_type()
        );
    }
    Ok(())
}

/// Composite keys whose texts run together alike are different partitions.
pub async fn partitions_with_similar_keys_are_separate(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let mut spec = tables::clustered_by("t", DataType::Utf8, SortOrder::Asc);
    spec.schema = tables::schema(&[("a", DataType::Utf8, false), ("b", DataType::Utf8, false), ("v", DataType::Int64, true)]);
    spec.key.partition = vec!["a".to_owned(), "b".to_owned()];
    spec.key.clustering.clear();
    store.ensure_table(&spec).await?;
    let mut w = Writer::begin(&*store, &spec, "f", 1).await?;
    let pairs =
        [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a\0", "bc"), ("a", "\0bc"), ("", ""), ("\0", ""), ("", "\0"), ("a\0b", "c")];
    let rows: Vec<Row> = pairs.iter().zip(0_i64..).map(|((a, b), i)| row![*a, *b, i]).collect();
    w.commit(&*store, &inserts(Version(1), &rows)).await?;
    for ((a, b), row) in pairs.iter().zip(&rows) {
        let query = partition_of([Value::Str((*a).to_owned()), Value::Str((*b).to_owned())]);
        check_eq!(pages(&store, "t", &query).await?, std::slice::from_ref(row), "the partition ({a:?}, {b:?}) holds its row alone");
    }
    Ok(())
}

/// A prefix of the clustering key selects the rows that begin with it.
pub async fn a_prefix_selects_the_rows_that_begin_with_it(h: &dyn Harness<Port>) -> CaseResult {
    let store = grid_store(h).await?;
    for t in [50, 30, -10, 35] {
        let expected: Vec<Row> = grid().into_iter().filter(|r| ts(r) == t).collect();
        for reverse in [false, true] {
            let query = PartitionQuery { prefix: vec![Value::Timestamp(t)], reverse, ..events_of("EWR", 1) };
            let expected = if reverse { backwards(expected.clone()) } else { expected.clone() };
            check_eq!(pages(&store, "t", &query).await?, expected, "rows whose clustering key begins with ts {t}, reverse {reverse}");
        }
    }
    let whole = PartitionQuery { prefix: vec![Value::Timestamp(30), Value::Int(3)], ..events_of("EWR", 1) };
    check_eq!(pages(&store, "t", &whole).await?, [event("EWR", 1, 30, 3, 1)], "the whole clustering key selects one row");
    Ok(())
}

/// Bounds are by value of the column after the prefix, whichever way the column is ordered.
pub async fn bounds_are_by_value_whatever_the_direction(h: &dyn Harness<Port>) -> CaseResult {
    let store = grid_store(h).await?;
    type Keep = fn(i64, i64) -> bool;
    let lowers: [(Bound, Keep); 3] = [
        (Bound::Unbounded, |_, _| true),
        (Bound::Included(vec![Value::Timestamp(20)]), |t, _| t >= 20),
        (Bound::Excluded(vec![Value::Timestamp(20)]), |t, _| t > 20),
    ];
    let uppers: [(Bound, Keep); 4] = [
        (Bound::Unbounded, |_, _| true),
        (Bound::Included(vec![Value::Timestamp(40)]), |t, _| t <= 40),
        (Bound::Excluded(vec![Value::Timestamp(40)]), |t, _| t < 40),
        (Bound::Excluded(vec![Value::Timestamp(20)]), |t, _| t < 20),
    ];
    for (lower, above) in &lowers {
        for (upper, below) in &uppers {
            for (reverse, limit) in [(false, 0), (true, 0), (false, 3), (true, 3)] {
                let expected: Vec<Row> = grid().into_iter().filter(|r| above(ts(r), 0) && below(ts(r), 0)).collect();
                let expected = if reverse { backwards(expected) } else { expected };
                let query = PartitionQuery { lower: lower.clone(), upper: upper.clone(), reverse, limit, ..events_of("EWR", 1) };
                check_eq!(pages(&store, "t", &query).await?, expected, "ts from {lower:?} to {upper:?}, reverse {reverse}, limit {limit}");
            }
        }
    }
    for reverse in [false, true] {
        let query = PartitionQuery {
            prefix: vec![Value::Timestamp(30)],
            lower: Bound::Excluded(vec![Value::Int(1)]),
            upper: Bound::Included(vec![Value::Int(3)]),
            reverse,
            limit: 1,
            ..events_of("EWR", 1)
        };
        let expected: Vec<Row> = grid().into_iter().filter(|r| ts(r) == 30 && id(r) > 1 && id(r) <= 3).collect();
        let expected = if reverse { backwards(expected) } else { expected };
        check_eq!(pages(&store, "t", &query).await?, expected, "ids 2 to 3 of ts 30, reverse {reverse}");
    }
    Ok(())
}

/// Pages of any size, put together, are the whole: no row skipped or doubled at a boundary.
pub async fn pages_of_any_size_add_up_to_the_whole(h: &dyn Harness<Port>) -> CaseResult {
    let store = grid_store(h).await?;
    for limit in [1, 2, 3, 5, 23, 24, 25, 1_000] {
        for reverse in [false, true] {
            let query = PartitionQuery { limit, reverse, ..events_of("EWR", 1) };
            let expected = if reverse { backwards(grid()) } else { grid() };
            check_eq!(pages(&store, "t", &query).await?, expected, "pages of {limit}, reverse {reverse}, give each row once, in order");
        }
    }
    let last = store.read_partition("t", &PartitionQuery { limit: 25, ..events_of("EWR", 1) }).await?;
    check!(last.next.is_none(), "a page that holds the last row before its limit has no next page");
    let first = store.read_partition("t", &PartitionQuery { limit: 23, ..events_of("EWR", 1) }).await?;
    check!(first.next.is_some(), "a page with rows after it has a next page");
    Ok(())
}

/// Rows that are written or deleted between two pages don't make the next page skip or repeat others.
pub async fn pages_stay_in_step_when_rows_are_written_between_them(h: &dyn Harness<Port>) -> CaseResult {
    for reverse in [false, true] {
        let name = format!("t_{reverse}");
        let store = h.open().await?;
        let spec = tables::events(&name);
        store.ensure_table(&spec).await?;
        let mut w = Writer::begin(&*store, &spec, "f", 1).await?;
        w.commit(&*store, &inserts(Version(5), &grid())).await?;
        let order = if reverse { backwards(grid()) } else { grid() };

        let query = PartitionQuery { limit: 10, reverse, ..events_of("EWR", 1) };
        let first = store.read_partition(&name, &query).await?;
        // The last row of the page goes, as does the one after it; new ones come at the front, and at the end.
        let (behind, ahead) = if reverse { (-10, 50) } else { (50, -10) };
        let gone = |row: &Row| delete(9, event_key("EWR", 1, ts(row), id(row)));
        let (at_front, at_end) = (event("EWR", 1, behind, 5 - 10 * i64::from(reverse), 1), event("EWR", 1, ahead, 5, 1));
        w.commit(&*store, &[gone(&order[9]), gone(&order[10]), insert(9, at_front), insert(9, at_end.clone())]).await?;

        let mut rest = Vec::new();
        let mut page = first.next;
        while let Some(token) = page {
            let next = store.read_partition(&name, &PartitionQuery { page: Some(token), ..query.clone() }).await?;
            rest.extend(rows_of(&next.rows)?.into_iter().map(|r| r[..7].to_vec()));
            page = next.next;
        }
        // A page may show the new row at the end, but need not: it was not there when the first page was read.
        rest.retain(|row| *row != at_end);
        check_eq!(rest, order[11..], "reverse {reverse}: the next pages hold each of the remaining rows once, in order");
    }
    Ok(())
}

/// Values that don't fit the key are `InvalidInput`.
pub async fn values_that_do_not_fit_the_key_are_refused(h: &dyn Harness<Port>) -> CaseResult {
    let store = grid_store(h).await?;
    let good = events_of("EWR", 1);
    let wrong = [
        ("no partition value", PartitionQuery { partition: vec![], ..good.clone() }),
        ("half of the partition key", PartitionQuery { partition: vec![Value::Str("EWR".into())], ..good.clone() }),
        ("a value too many", PartitionQuery { partition: [good.partition.clone(), vec![Value::Int(1)]].concat(), ..good.clone() }),
        ("a BIGINT for a DATE", PartitionQuery { partition: vec![Value::Str("EWR".into()), Value::Int(1)], ..good.clone() }),
        ("a STRING for a TIMESTAMP", PartitionQuery { prefix: vec![Value::Str("x".into())], ..good.clone() }),
        (
            "a prefix longer than the key",
            PartitionQuery { prefix: vec![Value::Timestamp(1), Value::Int(1), Value::Int(1)], ..good.clone() },
        ),
        ("a bound of another type", PartitionQuery { lower: Bound::Included(vec![Value::Bool(true)]), ..good.clone() }),
        ("a page token of nobody's", PartitionQuery { page: Some(millstream_core::ports::PageToken("no token".into())), ..good.clone() }),
    ];
    for (what, query) in wrong {
        refused(store.read_partition("t", &query).await, ErrorKind::InvalidInput, what)?;
    }
    let scan = Scan { partition: Some(vec![Value::Int(1)]), ..Scan::default() };
    let snapshot = store.snapshot().await?;
    refused(snapshot.scan("t", &scan).await, ErrorKind::InvalidInput, "a scan of a partition with half a key")?;
    Ok(())
}

/// A partition that isn't there reads as empty.
pub async fn an_absent_partition_is_an_empty_page(h: &dyn Harness<Port>) -> CaseResult {
    let store = grid_store(h).await?;
    let page = store.read_partition("t", &events_of("nobody", 1)).await?;
    check_eq!(page.rows.num_rows(), 0, "it has no rows");
    check_eq!(page.rows.num_columns(), 8, "and all columns");
    check!(page.next.is_none(), "and no next page");
    Ok(())
}

/// Every row once; a partition's rows stand together, in clustering order.
pub async fn a_scan_returns_every_row_once_partition_by_partition(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut w) = store_with(h, &tables::events("t")).await?;
    let mut rows = Vec::new();
    for day in 0..5 {
        for origin in ["EWR", "JFK", "LGA", ""] {
            rows.extend((0..30_i64).map(|i| event(origin, day, (i * 7) % 30, i, 1)));
        }
    }
    for chunk in rows.chunks(77) {
        w.commit(&*store, &inserts(Version(5), chunk)).await?;
    }
    let scanned = collect(store.snapshot().await?.scan("t", &Scan::default()).await?).await?;
    check_eq!(scanned.len(), rows.len(), "a scan returns every row once");
    let mut partitions: Vec<Vec<Row>> = Vec::new();
    for row in scanned {
        match partitions.last_mut() {
            Some(last) if last[0][..2] == row[..2] => last.push(row),
            _ => partitions.push(vec![row]),
        }
    }
    check_eq!(partitions.len(), 20, "the rows of a partition stand together");
    for partition in partitions {
        let order: Vec<_> = partition.iter().map(|r| (-ts(r), id(r))).collect();
        check!(order.is_sorted(), "the rows of {:?} are in clustering order: {order:?}", &partition[0][..2]);
    }
    Ok(())
}

/// Only the columns asked for, in that order; the version last, on request.
pub async fn a_scan_returns_the_columns_asked_for(h: &dyn Harness<Port>) -> CaseResult {
    let (store, mut w) = store_with(h, &tables::events("t")).await?;
    w.commit(&*store, &inserts(Version(5), &[event("EWR", 1, 10, 1, 4)])).await?;
    let snapshot = store.snapshot().await?;
    let cases: [(Option<Vec<usize>>, bool, Row); 6] = [
        (None, false, event("EWR", 1, 10, 1, 4)),
        (Some(vec![6, 0]), false, row![4, "EWR"]),
        (Some(vec![6, 0]), true, row![4, "EWR", 5]),
        (Some(vec![5]), false, row![2.0]),
        (Some(vec![]), true, row![5]),
        (Some(vec![1, 4]), false, row![date(1), "EWR-1"]),
    ];
    for (columns, with_version, expected) in cases {
        let scan = Scan { columns, with_version, partition: None };
        check_eq!(collect(snapshot.scan("t", &scan).await?).await?, [expected], "{scan:?}");
    }
    let none = Scan { columns: Some(vec![]), ..Scan::default() };
    check_eq!(collect(snapshot.scan("t", &none).await?).await?.len(), 1, "a scan of no columns still counts its rows");
    Ok(())
}

/// A scan of one partition returns that partition, in order.
pub async fn a_scan_of_one_partition_returns_its_rows_alone(h: &dyn Harness<Port>) -> CaseResult {
    let store = grid_store(h).await?;
    check_eq!(table(&store, "t").await?.len(), 28, "the table holds rows of other partitions too");
    let scan = Scan { partition: Some(events_of("EWR", 1).partition), ..Scan::default() };
    let snapshot = store.snapshot().await?;
    check_eq!(collect(snapshot.scan("t", &scan).await?).await?, grid(), "the partition's rows, in clustering order");
    let nobody = Scan { partition: Some(events_of("E", 1).partition), ..Scan::default() };
    check_eq!(collect(snapshot.scan("t", &nobody).await?).await?, Vec::<Row>::new(), "an absent partition has none");
    Ok(())
}
