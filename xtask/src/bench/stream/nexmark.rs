//! Events of the Nexmark benchmark (Tucker, Tufte, Papadimos and Maier, "NEXMark: a benchmark for queries over data streams", 2008) with the
//! proportions that its public generators have: of 50 events one is a person, 3 are auctions, 46 are bids; 10,000 events a second of event time.
//!
//! Half of the bids are for one hot auction of the newest hundred, three quarters come from one hot bidder, three quarters of the auctions from one hot
//! seller. The same events come each time. It knows no topic and no client.

use crate::chance::Chance;

/// Of so many events one is a person; [`AUCTIONS`] are auctions, the rest bids.
const ROUND: u64 = 50;
const AUCTIONS: u64 = 3;

/// Event time between two events, in microseconds: 10,000 events a second.
const STEP_US: u64 = 100;

/// The most events that there can be: those of a day.
pub const MOST: u64 = 86_400 * 1_000_000 / STEP_US;

/// Ids begin here, categories at [`FIRST_CATEGORY`].
const FIRST_ID: u64 = 1_000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

/// One of so many auctions, and of so many persons, is hot.
const HOT: u64 = 100;

/// So many auctions are open at a time, and so many of the newest persons do something.
const OPEN_AUCTIONS: u64 = 100;
const ACTIVE_PERSONS: u64 = 1_000;

/// Bids and auctions name up to so many auctions and persons that are still to come.
const AHEAD: u64 = 10;

/// Mean sizes in bytes of what an event holds, which `extra` fills up.
const PERSON_BYTES: u64 = 200;
const AUCTION_BYTES: u64 = 500;
const BID_BYTES: u64 = 100;

const FIRST_NAMES: [&str; 8] = ["Ada", "Boris", "Chiara", "Emil", "Fatou", "Goro", "Hanna", "Ines"];
const SURNAMES: [&str; 7] = ["Abara", "Costa", "Lindqvist", "Moreau", "Nakata", "Novak", "Weiss"];
const CITIES: [(&str, &str); 10] = [
    ("Phoenix", "AZ"),
    ("Los Angeles", "CA"),
    ("San Francisco", "CA"),
    ("Boise", "ID"),
    ("Portland", "OR"),
    ("Bend", "OR"),
    ("Redmond", "WA"),
    ("Seattle", "WA"),
    ("Kent", "WA"),
    ("Cheyenne", "WY"),
];
const CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const OTHER_CHANNELS: u64 = 10_000;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody registers.
    Person,
    /// Something is offered.
    Auction,
    /// Somebody bids.
    Bid,
}

/// How many of the first `events` events are of this kind.
pub fn count(kind: Kind, events: u64) -> u64 {
    let (rounds, rest) = (events / ROUND, events % ROUND);
    let persons = rounds + rest.min(1);
    let auctions = rounds * AUCTIONS + rest.saturating_sub(1).min(AUCTIONS);
    match kind {
        Kind::Person => persons,
        Kind::Auction => auctions,
        Kind::Bid => events - persons - auctions,
    }
}

/// The first so many events, in the order of their time.
pub struct Events {
    chance: Chance,
    letters: String,
    next: u64,
    end: u64,
}

impl Events {
    /// `events` of them, at most [`MOST`].
    pub fn new(events: u64) -> Self {
        let mut chance = Chance::seeded(2_008);
        let letters = (0..4_096).map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap_or(0))).collect();
        Self { chance, letters, next: 0, end: events.min(MOST) }
    }

    fn person(&mut self, known: Known, time: &str) -> String {
        let name = format!("{} {}", self.chance.of(&FIRST_NAMES), self.chance.of(&SURNAMES));
        let (city, state) = CITIES.get(self.index(CITIES.len())).copied().unwrap_or_default();
        let (user, host) = (self.text(3, 10), self.text(3, 10));
        let [a, b, c, d] = [(); 4].map(|()| self.chance.below(10_000));
        let id = FIRST_ID + known.person;
        let held = 8 + 8 + name.len() + user.len() + host.len() + 5 + 19 + city.len() + state.len();
        let extra = self.extra(PERSON_BYTES, held);
        format!(
            r#"{{"id":{id},"name":"{name}","email_address":"{user}@{host}.com","credit_card":"{a:04} {b:04} {c:04} {d:04}","city":"{city}","state":"{state}","date_time":"{time}","extra":"{extra}"}}"#
        )
    }

    fn auction(&mut self, known: Known, time: &str, at_us: u64) -> String {
        let (item, description) = (self.text(3, 20), self.text(10, 100));
        let initial = self.price();
        let reserve = initial + self.price();
        // On average as long as so many auctions take to begin as are open at a time.
        let horizon_us = OPEN_AUCTIONS * ROUND / AUCTIONS * STEP_US;
        let expires = time_text(at_us + 1_000 + self.chance.below(2 * horizon_us));
        let seller = FIRST_ID + if self.chance.below(4) > 0 { known.person / HOT * HOT } else { self.some_person(known) };
        let category = FIRST_CATEGORY + self.chance.below(CATEGORIES);
        let id = FIRST_ID + known.auction;
        let extra = self.extra(AUCTION_BYTES, 8 * 7 + item.len() + description.len());
        format!(
            r#"{{"id":{id},"item_name":"{item}","description":"{description}","initial_bid":{initial},"reserve":{reserve},"date_time":"{time}","expires":"{expires}","seller":{seller},"category":{category},"extra":"{extra}"}}"#
        )
    }

    fn bid(&mut self, known: Known, time: &str) -> String {
        let auction = if self.chance.below(2) > 0 {
            known.auction / HOT * HOT
        } else {
            let oldest = known.auction.saturating_sub(OPEN_AUCTIONS);
            oldest + self.chance.below(known.auction - oldest + 1 + AHEAD)
        };
        let bidder = if self.chance.below(4) > 0 { known.person / HOT * HOT + 1 } else { self.some_person(known) };
        let (auction, bidder, price) = (FIRST_ID + auction, FIRST_ID + bidder, self.price());
        let (channel, path) = if self.chance.below(2) > 0 {
            let channel = self.chance.of(&CHANNELS);
            (channel.to_owned(), format!("{}/item.htm?query=1", channel.to_lowercase()))
        } else {
            let number = self.chance.below(OTHER_CHANNELS);
            (format!("channel-{number}"), format!("other/item.htm?query=1&channel_id={number}"))
        };
        let extra = self.extra(BID_BYTES, 32);
        format!(
            r#"{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":"{channel}","url":"https://www.nexmark.example/{path}","date_time":"{time}","extra":"{extra}"}}"#
        )
    }

    /// One of the newest persons, or one of the next ones.
    fn some_person(&mut self, known: Known) -> u64 {
        let persons = known.person + 1;
        let active = persons.min(ACTIVE_PERSONS);
        persons - active + self.chance.below(active + AHEAD)
    }

    /// From one dollar to a million, in cents: each power of ten as often as the others.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a hundred million")]
    fn price(&mut self) -> u64 {
        let power = self.chance.below(1 << 32) as f64 / (1_u64 << 32) as f64 * 6.0;
        (10_f64.powf(power) * 100.0).round() as u64
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.chance.below(length as u64)).unwrap_or(0)
    }

    /// Letters, from `least` to before `most`.
    fn text(&mut self, least: u64, most: u64) -> String {
        let length = least + self.chance.below(most - least);
        self.letters_of(length)
    }

    /// What fills up an event that holds `held` bytes to about its mean size: a fifth less or more.
    fn extra(&mut self, mean: u64, held: usize) -> String {
        let missing = mean.saturating_sub(held as u64);
        let length = missing - missing / 5 + self.chance.below(missing / 5 * 2 + 1);
        self.letters_of(length)
    }

    fn letters_of(&mut self, length: u64) -> String {
        let length = usize::try_from(length).unwrap_or(0);
        let start = self.index(self.letters.len() - length + 1);
        self.letters.get(start..start + length).unwrap_or_default().to_owned()
    }
}

impl Iterator for Events {
    type Item = (Kind, String);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let (number, known) = (self.next, Known::at(self.next));
        self.next += 1;
        let at_us = number * STEP_US;
        let time = time_text(at_us);
        Some(match number % ROUND {
            0 => (Kind::Person, self.person(known, &time)),
            1..=AUCTIONS => (Kind::Auction, self.auction(known, &time, at_us)),
            _ => (Kind::Bid, self.bid(known, &time)),
        })
    }
}

/// The newest person and the newest auction when an event comes, from 0, the event itself included.
#[derive(Clone, Copy)]
struct Known {
    person: u64,
    auction: u64,
}

impl Known {
    fn at(number: u64) -> Self {
        let (round, place) = (number / ROUND, number % ROUND);
        Self { person: round, auction: (round * AUCTIONS + place.min(AUCTIONS)).saturating_sub(1) }
    }
}

/// Microseconds since 2024-01-01T00:00:00Z as a time of JSON.
fn time_text(us: u64) -> String {
    let (seconds, fraction) = (us / 1_000_000, us % 1_000_000);
    let (day, hour, minute, second) = (1 + seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("2024-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

#[cfg(test)]
mod tests;
