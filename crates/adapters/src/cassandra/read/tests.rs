#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ErrorKind;

use super::super::table::tests::table;
use super::*;

fn query() -> PartitionQuery {
    PartitionQuery { partition: vec![Value::Str("EWR".into())], ..PartitionQuery::default() }
}

fn plan(query: &PartitionQuery) -> Result<Plan> {
    Plan::new(&table(None), query)
}

#[test]
fn a_query_is_one_statement() {
    let range = PartitionQuery { lower: Bound::Excluded(vec![Value::Int(3)]), upper: Bound::Included(vec![Value::Int(9)]), ..query() };
    let select = r#"SELECT "origin", "id", "note", WRITETIME("_v") FROM "ks"."Departures" WHERE "origin" = ?"#;
    assert_eq!(plan(&range).unwrap().cql, format!(r#"{select} AND "id" > ? AND "id" <= ?"#));
    let reverse = PartitionQuery { reverse: true, ..query() };
    assert_eq!(plan(&reverse).unwrap().cql, format!(r#"{select} ORDER BY "id" ASC"#));
    let point = PartitionQuery { prefix: vec![Value::Int(3)], ..query() };
    assert_eq!(plan(&point).unwrap().values, [Some(b"EWR".to_vec()), Some(3_i64.to_be_bytes().to_vec())]);
}

#[test]
fn a_token_is_good_for_its_query_alone() {
    let first = plan(&query()).unwrap();
    let token = first.token(b"state");
    let at = |token: &PageToken, query: PartitionQuery| plan(&PartitionQuery { page: Some(token.clone()), ..query });
    assert_eq!(at(&token, query()).unwrap().state.as_deref(), Some(b"state".as_slice()));
    let others = [
        PartitionQuery { reverse: true, ..query() },
        PartitionQuery { partition: vec![Value::Str("JFK".into())], ..query() },
        PartitionQuery { lower: Bound::Included(vec![Value::Int(3)]), ..query() },
    ];
    for other in others {
        assert_eq!(at(&token, other.clone()).unwrap_err().kind(), ErrorKind::InvalidInput, "{other:?}");
    }
    let mut broken = token.0.clone();
    broken.truncate(broken.len() - 2);
    for bad in ["", "no token", "00", broken.as_str()] {
        assert_eq!(at(&PageToken(bad.into()), query()).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
}

#[test]
fn bounds_that_do_not_fit_are_refused() {
    let point = vec![Value::Int(3)];
    let bad = [
        PartitionQuery { lower: Bound::Included(Vec::new()), ..query() },
        PartitionQuery { lower: Bound::Included(vec![Value::Int(1), Value::Int(2)]), ..query() },
        PartitionQuery { prefix: point.clone(), upper: Bound::Included(point), ..query() },
    ];
    for query in bad {
        assert_eq!(plan(&query).unwrap_err().kind(), ErrorKind::InvalidInput, "{query:?}");
    }
}

#[test]
fn the_hash_is_fnv_1a() {
    assert_eq!(fnv(FNV_START, b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv(FNV_START, b"a"), 0xaf63_dc4c_8601_ec8c);
}
