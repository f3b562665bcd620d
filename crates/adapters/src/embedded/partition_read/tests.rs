#![allow(clippy::unwrap_used, reason = "tests")]
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::{ClusteringColumn, ErrorKind, KeySpec, SortOrder, TableKind, TableSpec};

use super::*;

fn table() -> KeyedTable {
    let field = |name: &str, t| Field::new(name, t, false);
    let clustering = |name: &str, order| ClusteringColumn { name: name.into(), order };
    let spec = TableSpec {
        name: "t".into(),
        kind: TableKind::EventStore,
        schema: Arc::new(Schema::new(vec![
            field("p", DataType::Utf8),
            field("a", DataType::Int32),
            field("b", DataType::Int32),
            field("c", DataType::Int32),
        ])),
        key: KeySpec {
            partition: vec!["p".into()],
            clustering: vec![clustering("a", SortOrder::Asc), clustering("b", SortOrder::Desc), clustering("c", SortOrder::Desc)],
        },
        ttl: None,
    };
    KeyedTable::new(1, spec).unwrap()
}

fn query(prefix: &[i64], lower: Bound, upper: Bound) -> PartitionQuery {
    let prefix = prefix.iter().map(|v| Value::Int(*v)).collect();
    PartitionQuery { partition: vec![Value::Str("x".into())], prefix, lower, upper, ..PartitionQuery::default() }
}

fn ints(values: &[i64]) -> Vec<Value> {
    values.iter().map(|v| Value::Int(*v)).collect()
}

/// The (a, b, c) out of {1, 2, 3}^3 that a plan's range holds.
fn inside(table: &KeyedTable, plan: &Plan) -> Vec<[i64; 3]> {
    let mut rows = Vec::new();
    for a in 1..=3 {
        for b in 1..=3 {
            for c in 1..=3 {
                let mut key = Vec::new();
                let values = [vec![Value::Str("x".into())], ints(&[a, b, c])].concat();
                table.keys.put_key(&values, &mut key).unwrap();
                if plan.start <= key && key < plan.end {
                    rows.push([a, b, c]);
                }
            }
        }
    }
    rows
}

#[test]
fn bounds_are_by_value_whatever_the_direction() {
    let table = table();
    type Holds = fn([i64; 3]) -> bool;
    let bounds = [(Bound::Included as fn(_) -> _, true), (Bound::Excluded as fn(_) -> _, false)];
    for (bound, included) in bounds {
        let at = |v: i64| bound(ints(&[v]));
        let above = |x: i64, v: i64| if included { x >= v } else { x > v };
        let below = |x: i64, v: i64| if included { x <= v } else { x < v };
        let expect = |plan: Plan, holds: &dyn Fn([i64; 3]) -> bool| {
            let all = inside(&table, &Plan { start: Vec::new(), end: vec![0xFF; 9], ..plan.clone() });
            let expected: Vec<_> = all.into_iter().filter(|r| holds(*r)).collect();
            assert_eq!(inside(&table, &plan), expected);
        };
        let plan = |prefix: &[i64], lower: Bound, upper: Bound| Plan::new(&table, &query(prefix, lower, upper)).unwrap();
        expect(plan(&[], at(2), Bound::Unbounded), &|r| above(r[0], 2));
        expect(plan(&[], Bound::Unbounded, at(2)), &|r| below(r[0], 2));
        expect(plan(&[2], at(2), Bound::Unbounded), &|r| r[0] == 2 && above(r[1], 2));
        expect(plan(&[2], Bound::Unbounded, at(2)), &|r| r[0] == 2 && below(r[1], 2));
        expect(plan(&[2], at(1), at(3)), &|r| r[0] == 2 && above(r[1], 1) && below(r[1], 3));
        expect(plan(&[2, 3], at(2), at(2)), &|r| r[0] == 2 && r[1] == 3 && above(r[2], 2) && below(r[2], 2));
        expect(plan(&[2], bound(ints(&[2, 2])), Bound::Unbounded), &|r| r[0] == 2 && (r[1] > 2 || (r[1] == 2 && above(r[2], 2))));
    }
    let all: Holds = |_| true;
    let whole = Plan::new(&table, &query(&[], Bound::Unbounded, Bound::Unbounded)).unwrap();
    assert_eq!(inside(&table, &whole).len(), 27, "{}", all([0; 3]));
}

#[test]
fn what_does_not_fit_the_clustering_key_is_refused() {
    let table = table();
    let refused = |query: PartitionQuery| Plan::new(&table, &query).unwrap_err();
    assert_eq!(refused(query(&[1, 2, 3], Bound::Included(ints(&[1])), Bound::Unbounded)).kind(), ErrorKind::InvalidInput);
    assert_eq!(refused(query(&[1, 2, 3, 4], Bound::Unbounded, Bound::Unbounded)).kind(), ErrorKind::InvalidInput);
    assert_eq!(refused(query(&[], Bound::Included(Vec::new()), Bound::Unbounded)).kind(), ErrorKind::InvalidInput);
    assert_eq!(refused(query(&[], Bound::Included(vec![Value::Bool(true)]), Bound::Unbounded)).kind(), ErrorKind::InvalidInput);
    assert_eq!(refused(PartitionQuery::default()).kind(), ErrorKind::InvalidInput);
    let mixed = refused(query(&[], Bound::Included(ints(&[1, 2])), Bound::Unbounded));
    assert_eq!(mixed.kind(), ErrorKind::Unsupported);
    assert!(mixed.message().contains("a and b together, which run in opposite directions; bound a alone"), "{mixed}");
}

#[test]
fn a_token_goes_on_after_its_row_and_is_good_for_its_query_alone() {
    let table = table();
    let first = query(&[2], Bound::Unbounded, Bound::Unbounded);
    let plan = Plan::new(&table, &first).unwrap();
    let mut last = Vec::new();
    table.keys.put_key(&[vec![Value::Str("x".into())], ints(&[2, 2, 2])].concat(), &mut last).unwrap();
    let token = plan.token(&last);
    let next = Plan::new(&table, &PartitionQuery { page: Some(token.clone()), ..first.clone() }).unwrap();
    let rest = inside(&table, &next);
    assert_eq!(rest, [[2, 1, 1], [2, 1, 2], [2, 1, 3], [2, 2, 1]], "rows after (2, 2, 2) in clustering order");
    for other in [
        PartitionQuery { reverse: true, ..first.clone() },
        query(&[], Bound::Unbounded, Bound::Unbounded),
        query(&[2], Bound::Included(ints(&[1])), Bound::Unbounded),
    ] {
        let error = Plan::new(&table, &PartitionQuery { page: Some(token.clone()), ..other }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    for bad in ["", "zz", "01", "02abcdef00"] {
        let error = Plan::new(&table, &PartitionQuery { page: Some(PageToken(bad.into())), ..first.clone() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}
