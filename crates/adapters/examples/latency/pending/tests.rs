use serde_json::json;

use super::*;

fn sent(what: &str, events: usize) -> Pending {
    let mut pending = Pending::new(what).unwrap();
    (0..events).for_each(|id| pending.add(id, Instant::now()));
    pending
}

fn ids(seen: Result<Vec<Seen>>) -> Vec<usize> {
    seen.unwrap().into_iter().map(|seen| seen.id).collect()
}

#[test]
fn a_count_shows_all_events_of_its_key_since_the_one_before() {
    let mut pending = sent("counts", 3 * KEYS);
    assert_eq!(ids(pending.see(&json!({ "k": "k7", "n": 1 }))), [7]);
    assert_eq!(ids(pending.see(&json!({ "k": "k7", "n": 3 }))), [KEYS + 7, 2 * KEYS + 7]);
    assert_eq!(ids(pending.see(&json!({ "k": "k7", "n": 3 }))), [0; 0]);
    assert_eq!(ids(pending.see(&json!({ "k": "k8", "n": 2 }))), [8, KEYS + 8]);
}

#[test]
fn a_count_that_goes_back_or_is_of_more_than_was_sent_is_an_error() {
    let mut pending = sent("counts", 2 * KEYS);
    assert!(pending.see(&json!({ "k": "k7", "n": 3 })).is_err());
    pending.see(&json!({ "k": "k7", "n": 2 })).unwrap();
    assert!(pending.see(&json!({ "k": "k7", "n": 1 })).is_err());
    assert!(pending.see(&json!({ "k": "x", "n": 1 })).is_err());
}

#[test]
fn rows_may_come_in_any_order_but_only_once() {
    let mut pending = sent("rows", 4);
    assert_eq!(ids(pending.see(&json!({ "id": 2 }))), [2]);
    assert_eq!(ids(pending.see(&json!({ "id": 0 }))), [0]);
    assert_eq!(ids(pending.see(&json!({ "id": 1 }))), [1]);
    for again in [0, 2, 4] {
        assert!(pending.see(&json!({ "id": again })).is_err(), "{again}");
    }
    assert_eq!(ids(pending.see(&json!({ "id": 3 }))), [3]);
    let Pending::Rows(first, queue) = pending else { panic!("rows") };
    assert_eq!((first, queue.len()), (4, 0));
}
