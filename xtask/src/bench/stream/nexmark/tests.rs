use std::collections::HashMap;

use serde_json::Value;

use super::*;

fn of_kind(kind: Kind, events: u64) -> Vec<Value> {
    let lines = Events::new(events).filter(|(of, _)| *of == kind);
    lines.map(|(_, line)| serde_json::from_str(&line).unwrap()).collect()
}

fn number(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap()
}

#[test]
fn of_fifty_events_one_is_a_person_and_three_are_auctions() {
    for events in [0, 1, 2, 49, 50, 51, 1_003] {
        for kind in [Kind::Person, Kind::Auction, Kind::Bid] {
            assert_eq!(count(kind, events), of_kind(kind, events).len() as u64, "{kind:?} of {events}");
        }
    }
    assert_eq!([Kind::Person, Kind::Auction, Kind::Bid].map(|kind| count(kind, 100)), [2, 6, 92]);
}

#[test]
fn the_same_events_come_each_time() {
    assert!(Events::new(500).eq(Events::new(500)));
    assert!(Events::new(200).eq(Events::new(500).take(200)));
}

#[test]
fn ids_count_up_and_time_goes_on_by_a_tenth_of_a_millisecond() {
    let auctions = of_kind(Kind::Auction, 5_000);
    let ids: Vec<_> = auctions.iter().map(|auction| number(auction, "id")).collect();
    assert!(ids.iter().copied().eq(1_000..1_300));
    let persons = of_kind(Kind::Person, 5_000);
    assert!(persons.iter().map(|person| number(person, "id")).eq(1_000..1_100));
    assert_eq!(persons[0]["date_time"], "2024-01-01T00:00:00.000000Z");
    assert_eq!(persons[1]["date_time"], "2024-01-01T00:00:00.005000Z");
    assert_eq!(time_text(86_399_999_900), "2024-01-01T23:59:59.999900Z");
}

#[test]
fn about_half_of_the_bids_are_for_a_hot_auction_and_more_come_from_hot_bidders() {
    let bids = of_kind(Kind::Bid, 100_000);
    let share = |is_hot: &dyn Fn(&Value) -> bool| bids.iter().filter(|bid| is_hot(bid)).count() * 100 / bids.len();
    let auctions = share(&|bid| number(bid, "auction").is_multiple_of(HOT));
    let bidders = share(&|bid| number(bid, "bidder") % HOT == 1);
    assert!((49..53).contains(&auctions), "{auctions} %");
    assert!((74..78).contains(&bidders), "{bidders} %");
}

#[test]
fn an_auction_ends_after_it_begins_and_its_seller_is_near() {
    for (at, auction) in of_kind(Kind::Auction, 50_000).iter().enumerate() {
        assert!(auction["expires"].as_str() > auction["date_time"].as_str(), "{auction}");
        assert!(number(auction, "reserve") > number(auction, "initial_bid"), "{auction}");
        let newest = 1_000 + at as u64 / 3;
        assert!((newest.saturating_sub(ACTIVE_PERSONS)..=newest + AHEAD).contains(&number(auction, "seller")), "{auction}");
    }
}

#[test]
fn prices_are_spread_over_powers_of_ten() {
    let mut powers: HashMap<u32, usize> = HashMap::new();
    let bids = of_kind(Kind::Bid, 50_000);
    bids.iter().for_each(|bid| *powers.entry(number(bid, "price").ilog10()).or_default() += 1);
    for power in 2..8 {
        let share = powers[&power] * 100 / bids.len();
        assert!((15..19).contains(&share), "{share} % between 10^{power} and the next");
    }
}

#[test]
fn events_are_as_large_as_they_are_meant_to_be() {
    let mean = |kind| {
        let events = of_kind(kind, 50_000);
        let bytes: usize = events.iter().map(|event| event["extra"].as_str().unwrap().len()).sum();
        bytes / events.len()
    };
    assert!((60..76).contains(&mean(Kind::Bid)), "{}", mean(Kind::Bid));
    assert!((360..400).contains(&mean(Kind::Auction)), "{}", mean(Kind::Auction));
    assert!(mean(Kind::Person) > 80, "{}", mean(Kind::Person));
}
