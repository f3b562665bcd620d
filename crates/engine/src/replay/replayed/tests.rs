#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn at(partition: i32, offset: i64) -> RowPosition {
    RowPosition { partition, offset }
}

#[test]
fn what_was_replayed_before_sources_were_told_apart_counts_for_all_of_them() {
    let mut replayed: Replayed = serde_json::from_str(r#"[{"partition":0,"offset":3},{"partition":1,"offset":7}]"#).unwrap();
    assert!(replayed.has("readings", at(0, 3)) && replayed.has("alarms", at(1, 7)));
    assert!(!replayed.has("readings", at(0, 7)));
    replayed.add("alarms", at(0, 7));
    let text = serde_json::to_string(&replayed).unwrap();
    assert_eq!(
        text,
        r#"[{"partition":0,"offset":3,"source":null},{"partition":0,"offset":7,"source":"alarms"},{"partition":1,"offset":7,"source":null}]"#
    );
    let replayed: Replayed = serde_json::from_str(&text).unwrap();
    assert!(replayed.has("alarms", at(0, 7)) && !replayed.has("readings", at(0, 7)));
}
