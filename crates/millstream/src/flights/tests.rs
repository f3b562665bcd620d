#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use super::order::{partition_of, split_mix_64};
use super::*;

fn sequence(options: SequenceOptions) -> Sequence {
    Sequence::new(Flights::open(data(None).unwrap()).unwrap(), options)
}

fn faulty() -> SequenceOptions {
    SequenceOptions { faults: true, without_carrier: None }
}

fn event_id(publication: &Publication) -> i64 {
    serde_json::from_slice::<serde_json::Value>(&publication.value).unwrap()["event_id"].as_i64().unwrap()
}

#[test]
fn the_generator_is_split_mix_64() {
    // The first outputs for seed 1234567, as published with the reference implementation.
    let first: Vec<_> = (0..3).map(|i| split_mix_64(1_234_567, i)).collect();
    assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
}

#[test]
fn partitions_are_those_of_kafkas_default_partitioner() {
    // murmur2 of these keys, from the test of Kafka's Java client: 21 -> -973932308, foobar -> -790332482, a-little-bit-long-string -> -985981536.
    let expected = [("21", -973_932_308_i32), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)];
    for (key, hash) in expected {
        assert_eq!(partition_of(key.as_bytes(), 1000), (hash & i32::MAX) % 1000, "{key}");
    }
}

#[test]
fn a_flight_is_a_json_object_with_nulls_integers_and_utc_times() {
    let first = Flights::open(data(None).unwrap()).unwrap().next().unwrap().unwrap();
    let text = std::str::from_utf8(&first.json).unwrap();
    assert!(text.starts_with("{\"event_id\":1,\"ts\":\"2013-01-01T05:15:00Z\",\"year\":2013,"), "{text}");
    let cancelled = Flights::open(data(None).unwrap()).unwrap().map(Result::unwrap).find(|f| f.json.ends_with(b"Z\"}")).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&cancelled.json).is_ok());
    let nulls = Flights::open(data(None).unwrap())
        .unwrap()
        .filter(|f| std::str::from_utf8(&f.as_ref().unwrap().json).unwrap().contains("\"dep_delay\":null"))
        .count();
    assert_eq!(nulls, 8_255);
}

#[test]
fn every_flight_is_published_once_within_half_an_hour_of_its_turn_and_the_order_never_changes() {
    let all: Vec<_> = sequence(SequenceOptions::default()).map(Result::unwrap).collect();
    assert_eq!(all.len(), 336_776);
    let ids: Vec<_> = all.iter().map(event_id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert!(sorted.iter().zip(1..).all(|(id, n)| *id == n));
    assert!(ids.windows(2).any(|w| w[0] > w[1]), "nothing was shuffled");
    // The stable sort, done the plain way.
    let mut plain: Vec<_> = Flights::open(data(None).unwrap())
        .unwrap()
        .map(|f| {
            let f = f.unwrap();
            let jitter = (u128::from(split_mix_64(2013, f.event_id)) * 1_800_000_000) >> 64;
            (f.ts + i64::try_from(jitter).unwrap(), f.event_id)
        })
        .collect();
    plain.sort_by_key(|(at, _)| *at);
    assert!(plain.iter().map(|(_, id)| i64::try_from(*id).unwrap()).eq(ids.iter().copied()));
    assert_eq!(ids[..8], GOLDEN_ORDER);
}

/// The first events of the order: a half-finished demo of an older build goes on only if this stays.
const GOLDEN_ORDER: [i64; 8] = [1, 2, 17, 3, 4, 7, 19, 15];

#[test]
fn a_carrier_left_out_moves_no_other_flight() {
    let all = sequence(SequenceOptions::default()).map(Result::unwrap).filter(|p| p.key != "UA");
    let without = sequence(SequenceOptions { faults: false, without_carrier: Some("UA".into()) }).map(Result::unwrap);
    assert!(all.eq(without));
}

#[test]
fn the_rest_of_a_sequence_is_what_the_partitions_do_not_hold() {
    let all: Vec<_> = sequence(faulty()).map(Result::unwrap).collect();
    let held = [3_u64, 0, 70_000, 1];
    let mut seen = BTreeMap::<i32, u64>::new();
    let expected: Vec<_> = all
        .iter()
        .filter(|p| {
            let n = seen.entry(p.partition).or_default();
            *n += 1;
            *n > held[usize::try_from(p.partition).unwrap()]
        })
        .collect();
    let rest: Vec<_> = sequence(faulty()).after(&held).map(Result::unwrap).collect();
    assert!(expected.into_iter().eq(rest.iter()));
}

#[test]
fn faults_are_one_in_a_thousand_and_late_ones_come_last() {
    let all: Vec<_> = sequence(faulty()).map(Result::unwrap).collect();
    let count = |kind| all.iter().filter(|p| p.kind == kind).count();
    assert_eq!(count(Kind::Flight), 336_776);
    for kind in [Kind::Malformed, Kind::Duplicate, Kind::Late] {
        assert!((200..500).contains(&count(kind)), "{kind:?}: {}", count(kind));
    }
    let first_late = all.iter().position(|p| p.kind == Kind::Late).unwrap();
    assert!(all[first_late..].iter().all(|p| p.kind == Kind::Late));
    for (i, p) in all.iter().enumerate().filter(|(_, p)| p.kind == Kind::Duplicate) {
        assert_eq!((&p.value, p.partition), (&all[i - 1].value, all[i - 1].partition));
    }
    let late = &all[first_late];
    assert!(event_id(late) > 1_000_000);
    for p in all.iter().filter(|p| p.kind == Kind::Malformed) {
        let parsed = serde_json::from_slice::<serde_json::Value>(&p.value);
        assert!(parsed.is_err() || parsed.is_ok_and(|v| v["event_id"].as_i64().is_none()));
    }
}

#[test]
fn unpacking_twice_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path()).unwrap();
    let modified = || std::fs::metadata(dir.path().join("pipeline.sql")).unwrap().modified().unwrap();
    let before = modified();
    unpack(dir.path()).unwrap();
    assert_eq!(modified(), before);
}

#[test]
fn years_follow_each_other() {
    let year: Vec<_> = Flights::open(data(None).unwrap()).unwrap().map(Result::unwrap).collect();
    let mut flights = Flights::open_years(data(None).unwrap(), 2).unwrap();
    assert_eq!(flights.total(), 2 * year.len() as u64);
    assert!(flights.by_ref().map(Result::unwrap).take(year.len()).eq(year.iter().cloned()));
    let again: Vec<_> = flights.map(Result::unwrap).collect();
    assert_eq!(again.len(), year.len());
    assert_eq!((again[0].event_id, again[0].ts), (year.len() as u64 + 1, year[0].ts + 365 * 86_400_000_000));
    let [first, then]: [serde_json::Value; 2] = [&year[9], &again[9]].map(|flight| serde_json::from_slice(&flight.json).unwrap());
    assert_eq!([&first["time_hour"], &then["time_hour"]], ["2013-01-01T11:00:00Z", "2014-01-01T11:00:00Z"]);
    assert_eq!(first["carrier"], then["carrier"]);
}
