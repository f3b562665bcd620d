#![allow(clippy::unwrap_used, reason = "tests")]

use millstream_core::{Epoch, Timestamp};

use super::*;

fn letter(flow: &str, source: &str, offset: i64) -> Letter {
    let letter = DeadLetter {
        flow: FlowId::new(flow),
        epoch: Epoch(1),
        source: source.to_owned(),
        position: RowPosition { partition: 0, offset },
        timestamp: Timestamp(0),
        key: None,
        value: Some(Bytes::from(format!("{source} {offset}"))),
        reason: String::new(),
        at: Timestamp(0),
    };
    Letter { letter, topic: Some(source.to_owned()) }
}

fn published(of: i64, flows: &[&str], value: &str) -> ((String, RowPosition), Vec<Published>) {
    let flows = flows.iter().map(|flow| FlowId::new(*flow)).collect();
    let place = ("orders".to_owned(), RowPosition { partition: 0, offset: of });
    (place, vec![Published { flows, value: Some(Bytes::from(value.to_owned())) }])
}

fn repaired(flow: Option<&str>, offset: i64, value: &str) -> RepairedEvent {
    RepairedEvent { flow: flow.map(str::to_owned), source: None, partition: 0, offset, value: value.to_owned() }
}

fn request(repaired: Vec<RepairedEvent>) -> ReplayRequest {
    ReplayRequest { repaired, ..ReplayRequest::default() }
}

/// Each event as `offset: flows = value`.
fn lines(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| {
        let flows: Vec<_> = event.letters.iter().map(|letter| letter.flow.as_str()).collect();
        let value = event.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        format!("{}: {} = {value}", event.position.offset, flows.join(","))
    };
    events.iter().map(line).collect()
}

#[test]
fn what_was_published_is_finished_for_the_flows_that_it_was_published_for() {
    let letters = [letter("a", "orders", 1), letter("b", "orders", 1), letter("a", "orders", 2), letter("a", "refunds", 1)];
    let feed = Letter { topic: None, ..letter("c", "orders", 1) };
    let all = letters.iter().chain([&feed]).cloned().collect();
    let (finished, left) = part(all, &PublishedOf::from([published(1, &["a", "c"], "x")]));
    assert_eq!(
        finished,
        [Finished { letter: letters[0].letter.clone(), topic: "orders".to_owned(), value: Some(Bytes::from_static(b"x")) }]
    );
    assert_eq!(left, [letters[1].clone(), letters[2].clone(), letters[3].clone(), feed]);
}

#[test]
fn an_event_is_one_record_for_all_its_flows_and_one_for_each_new_value() {
    let letters = || vec![letter("a", "orders", 1), letter("b", "orders", 1), letter("a", "orders", 2)];
    let events = choose(&ReplayRequest::default(), letters(), &[]).unwrap();
    assert_eq!(lines(&events), ["1: a,b = orders 1", "2: a = orders 2"]);
    let events = choose(&request(vec![repaired(None, 1, "new")]), letters(), &[]).unwrap();
    assert_eq!(lines(&events), ["1: a,b = new"]);
    let events = choose(&request(vec![repaired(Some("b"), 1, "of b"), repaired(Some("a"), 1, "of a")]), letters(), &[]).unwrap();
    assert_eq!(lines(&events), ["1: b = of b", "1: a = of a"]);
    let events = choose(&ReplayRequest { limit: Some(1), flow: Some("a".to_owned()), repaired: Vec::new() }, letters(), &[]).unwrap();
    assert_eq!(lines(&events), ["1: a = orders 1"]);
}

#[test]
fn of_what_was_published_only_the_same_value_can_be_asked_for_again() {
    let finished = |flow: &str| {
        let done = letter(flow, "orders", 1).letter;
        [Finished { letter: done, topic: "orders".to_owned(), value: Some(Bytes::from_static(b"x")) }]
    };
    let rest = || vec![letter("b", "orders", 1), letter("a", "orders", 2)];
    assert_eq!(lines(&choose(&request(vec![repaired(Some("a"), 1, "x")]), rest(), &finished("a")).unwrap()), Vec::<String>::new());
    assert_eq!(lines(&choose(&request(vec![repaired(None, 1, "x")]), rest(), &finished("a")).unwrap()), ["1: b = x"]);
    let error = choose(&request(vec![repaired(None, 1, "y")]), rest(), &finished("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("partition 0 offset 1 of topic orders to flow a already, with another value"), "{error}");
    // It says nothing of another flow's.
    assert_eq!(lines(&choose(&request(vec![repaired(Some("b"), 1, "y")]), rest(), &finished("a")).unwrap()), ["1: b = y"]);
    let of_b = ReplayRequest { flow: Some("b".to_owned()), ..request(vec![repaired(None, 1, "y")]) };
    assert_eq!(lines(&choose(&of_b, rest(), &finished("a")).unwrap()), ["1: b = y"]);
}

#[test]
fn a_published_record_says_what_it_repeats_and_for_whom() {
    let record = |headers: &[(&str, &'static str)]| Record {
        offset: Offset(9),
        timestamp: Timestamp(0),
        key: None,
        value: None,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), Some(Bytes::from_static(value.as_bytes())))).collect(),
    };
    let (of, copy) = as_published(&record(&[(DIRECTED_HEADER, "a,b"), (REPLAY_OF_HEADER, "3/17")])).unwrap();
    assert_eq!((of, copy.flows), (RowPosition { partition: 3, offset: 17 }, vec![FlowId::new("a"), FlowId::new("b")]));
    for headers in [&[(DIRECTED_HEADER, "a")][..], &[(REPLAY_OF_HEADER, "3/17")], &[(DIRECTED_HEADER, "a"), (REPLAY_OF_HEADER, "3")]] {
        assert_eq!(as_published(&record(headers)), None, "{headers:?}");
    }
}
