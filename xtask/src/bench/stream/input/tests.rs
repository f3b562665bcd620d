use super::*;

#[test]
fn every_topic_of_the_pipelines_is_found_with_its_columns() {
    let names = |input: Input| input.topics().into_iter().map(|t| (t.table, t.topic)).collect::<Vec<_>>();
    let pair = |table: &str, topic: &str| (table.to_owned(), topic.to_owned());
    assert_eq!(names(Input::Flights), [pair("flights", "bench_stream_flights")]);
    let nexmark = ["person", "auction", "bid"].map(|table| pair(table, &format!("bench_stream_{table}")));
    assert_eq!(names(Input::Nexmark), nexmark);
    let bid = Input::Nexmark.topic("bid").unwrap();
    assert!(bid.columns.starts_with("auction BIGINT NOT NULL, ") && bid.columns.ends_with("extra STRING"), "{}", bid.columns);
    assert!(Input::Nexmark.topic("flights").is_err());
}

#[test]
fn tables_have_their_share_of_the_events() {
    assert_eq!(Input::Flights.rows("flights", 1_000), 1_000);
    assert_eq!(["person", "auction", "bid"].map(|table| Input::Nexmark.rows(table, 1_000)), [20, 60, 920]);
}

#[test]
fn more_events_than_there_are_is_an_error() {
    assert!(Input::Flights.check(33_677_600).is_ok());
    assert!(Input::Flights.check(33_677_601).is_err());
    assert!(Input::Nexmark.check(0).is_err());
    assert!(Input::ALL.iter().all(|input| input.check(input.usual_events()).is_ok()));
}
