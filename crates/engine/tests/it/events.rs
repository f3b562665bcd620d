//! Seeded meter readings, and what they should become: the oracle, in plain Rust.

use std::collections::BTreeMap;

use millstream_testkit::generate::Changes;

/// 2024-01-01T00:00:00Z in seconds.
const START: i64 = 1_704_067_200;

/// A reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub id: i64,
    /// Seconds since 1970.
    pub ts: i64,
    pub meter: &'static str,
    pub value: Option<i32>,
}

impl Reading {
    /// The event as JSON.
    pub fn json(&self) -> String {
        let ts = chrono::DateTime::from_timestamp(self.ts, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
        let value = self.value.map_or_else(|| "null".to_owned(), |v| v.to_string());
        format!(r#"{{"id":{},"ts":"{ts}","meter":"{}","value":{value},"unknown":[1,{{}}]}}"#, self.id, self.meter)
    }

    /// The partition that its meter goes to.
    pub fn partition(&self) -> i32 {
        i32::from(self.meter > "b")
    }
}

/// `count` readings of five meters, over some days, out of order by up to half an hour.
pub fn readings(seed: u64, count: i64) -> Vec<Reading> {
    let mut chance = Changes::seeded(seed, 1);
    let meters = ["a", "b", "c", "d", "e"];
    (0..count)
        .map(|id| {
            let late = i64::try_from(chance.below(1_800)).unwrap();
            let value = i32::try_from(chance.below(120)).unwrap() - 10;
            Reading { id, ts: START + id * 97 - late, meter: meters[chance.below(5)], value: (value != 0).then_some(value) }
        })
        .collect()
}

/// (meter, hour) to (count, sum, max), as the query gives them.
pub type Hours = BTreeMap<(String, i64), (i64, Option<i64>, Option<i32>)>;

/// The hourly aggregates of `readings`.
pub fn hourly<'a>(readings: impl IntoIterator<Item = &'a Reading>) -> Hours {
    let mut hours = Hours::new();
    for r in readings {
        let hour = hours.entry((r.meter.to_owned(), r.ts.div_euclid(3_600) * 3_600)).or_insert((0, None, None));
        hour.0 += 1;
        if let Some(v) = r.value {
            hour.1 = Some(hour.1.unwrap_or(0) + i64::from(v));
            hour.2 = hour.2.max(Some(v));
        }
    }
    hours
}
