//! Made-up departures in the columns of the flights example, and a topic with a column of every type.

use serde_json::{Value, json};

use super::events::time;
use crate::chance::Chance;

const CARRIERS: [&str; 6] = ["AA", "B6", "DL", "EV", "UA", "ZZ"];
const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];
const DESTINATIONS: [&str; 7] = ["ATL", "BOS", "LAX", "MIA", "ORD", "SFO", "ZZZ"];

/// Departures over two days in February 2024, in the order of their time but for some minutes. Some were cancelled, and have nulls.
pub(super) fn events() -> Vec<String> {
    let mut chance = Chance::seeded(2013);
    let flight = |id: u64| {
        let ts = id * 400_000 + chance.below(20) * 60_000;
        let cancelled = chance.happens(6);
        let delay = i64::try_from(chance.below(90)).unwrap_or(0) - 15 + if chance.happens(8) { 120 } else { 0 };
        let distance = 200 + chance.below(2_300);
        let known = |value: i64| if cancelled { Value::Null } else { value.into() };
        let caught_up = i64::try_from(chance.below(25)).unwrap_or(0) - 12;
        let tail = format!("N{}{}", 100 + chance.below(40), chance.of(&["AA", "UW", "JB"]));
        json!({
            "event_id": id + 1,
            "ts": time(ts - ts % 60_000),
            "carrier": chance.of(&CARRIERS),
            "flight": 1 + chance.below(900),
            "tailnum": if chance.happens(4) { Value::Null } else { tail.into() },
            "origin": chance.of(&ORIGINS),
            "dest": chance.of(&DESTINATIONS),
            "dep_delay": known(delay),
            "arr_delay": known(delay - caught_up),
            "air_time": known(i64::try_from(distance / 7).unwrap_or(0)),
            "distance": distance,
        })
        .to_string()
    };
    (0..420).map(flight).collect()
}

/// Rows with a value, an extreme or null in a column of each type.
pub(super) fn kinds() -> Vec<String> {
    let mut chance = Chance::seeded(77);
    let row = |id: u64| {
        let mut or_null = |value: Value| if chance.happens(12) { Value::Null } else { value };
        let mut row = json!({
            "id": id,
            "at": time(id * 60_000),
            "flag": or_null(id.is_multiple_of(3).into()),
            "tiny": or_null(json!([-128, 127, 0, 5][(id % 4) as usize])),
            "small": or_null(json!([-32768, 32767, 0, 300][(id / 2 % 4) as usize])),
            "whole": or_null(json!([i32::MIN, i32::MAX, 0, 70_000][(id / 3 % 4) as usize])),
            "large": or_null(json!([i64::MIN, i64::MAX, 0, 5_000_000_000_i64][(id / 5 % 4) as usize])),
            "single": or_null(json!([0.5, -2.25, 1e10, 0.0][(id / 2 % 4) as usize])),
            "real": or_null(json!([0.1, -1e300, 5e-324, 12345.678][(id / 3 % 4) as usize])),
            "word": or_null(json!(["", "Ünïcödé", "a\tb\"c", "日本 🎉"][(id / 4 % 4) as usize])),
            "bytes": or_null(json!(["", "AP8=", "U3Bhcms=", "wyg="][(id % 4) as usize])),
            "day": or_null(json!(["0001-01-01", "1582-10-04", "2024-02-29", "9999-12-31"][(id / 2 % 4) as usize])),
            "moment": or_null(json!(["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2024-02-29T12:00:00.5Z"][(id % 3) as usize])),
            "local": or_null(json!(["0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "2024-02-29T12:00:00.5"][(id % 3) as usize])),
        });
        // All digits of a decimal, which a JSON number of serde_json may not keep.
        row["price"] = or_null(json!(["12.34", "-0.05", "99999999.99", "0.00"][(id / 3 % 4) as usize]));
        row["exact"] =
            or_null(json!(["0.000000000000000001", "-99999999999999999999.999999999999999999", "7.000000000000000000"][(id % 3) as usize]));
        row.to_string()
    };
    (0..48).map(row).collect()
}
