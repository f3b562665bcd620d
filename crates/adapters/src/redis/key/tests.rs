#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use millstream_core::KeySpec;
use millstream_testkit::tables;

use super::*;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn timed(spec: TableSpec) -> KeyNames {
    KeyNames::new("millstream:", &spec).unwrap()
}

#[test]
fn the_names_of_format_1_stay() {
    let events = tables::events("critical_delays");
    let names = timed(events);
    let key = names
        .of_values(&[Value::Str("EWR".into()), Value::Date(15_908), Value::Timestamp(1_374_519_600_000_000), Value::Int(-17)])
        .unwrap();
    assert_eq!(text(&key), "millstream:critical_delays:{EWR,2013-07-22,2013-07-22T19:00:00Z,-17}");
    assert_eq!(text(&names.epochs()), "millstream:critical_delays:epochs");
    assert_eq!(text(&names.spec()), "millstream:critical_delays:spec");
    assert_eq!(text(&names.pattern()), "millstream:critical_delays:{*");
    let odd = KeyNames::new("a*b:", &tables::critical("x:y{z}%", None)).unwrap();
    assert_eq!(
        text(&odd.of_values(&[Value::Str("a,b{c}%\n".into()), Value::Int(1)]).unwrap()),
        "a*b:x%3Ay%7Bz%7D%25:{a%2Cb%7Bc%7D%25%0A,1}"
    );
    assert_eq!(text(&odd.pattern()), "a\\*b:x%3Ay%7Bz%7D%25:{*");
}

#[test]
fn every_value_has_a_key_of_its_own_and_comes_back_in_order() {
    for (data_type, cells) in tables::key_types() {
        let mut spec = tables::clustered_by("t", data_type.clone(), SortOrder::Asc);
        spec.key = KeySpec::single(["c"]);
        let names = timed(spec);
        let values: Vec<Value> = cells.iter().map(|c| c.to_value().unwrap()).collect();
        let keys: Vec<Vec<u8>> = values.iter().map(|v| names.of_values(std::slice::from_ref(v)).unwrap()).collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{data_type}: no two values share a key");
        for (value, key) in values.iter().zip(&keys) {
            assert_eq!(names.values(key).unwrap(), std::slice::from_ref(value), "{data_type}: {}", text(key));
        }
        for pair in values.windows(2) {
            assert_eq!(names.compare(&pair[..1], &pair[1..]), Ordering::Less, "{data_type}: {} before {}", pair[0], pair[1]);
        }
    }
}

#[test]
fn a_descending_column_orders_backwards() {
    let names = timed(tables::clustered_by("t", DataType::Int64, SortOrder::Desc));
    let at = |c: i64| [Value::Int(1), Value::Int(c)];
    assert_eq!(names.compare(&at(2), &at(1)), Ordering::Less);
}

#[test]
fn keys_of_others_are_corrupt() {
    let names = timed(tables::critical("t", None));
    for key in ["millstream:t:{EWR}", "millstream:t:{EWR,x}", "millstream:t:epochs", "other:t:{EWR,1}"] {
        assert!(names.values(key.as_bytes()).is_err(), "{key}");
    }
}
