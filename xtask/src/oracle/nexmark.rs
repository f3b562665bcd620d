//! A small online auction in the columns of the Nexmark benchmark (Tucker, Tufte, Papadimos and Maier, "NEXMark: a benchmark for queries
//! over data streams", 2008): people register, sell, and bid.
//!
//! One event every two seconds: of each 25, one is a person, three are auctions, the others bids. Events of a kind are out of order
//! by a few seconds at most, and no two have the same time.

use serde_json::json;

use super::events::time;
use crate::chance::Chance;

const EVENTS: u64 = 1_000;
const STEP_MS: u64 = 2_000;

const STATES: [(&str, &str); 6] =
    [("OR", "Portland"), ("ID", "Boise"), ("CA", "San Diego"), ("WA", "Seattle"), ("AZ", "Phoenix"), ("WY", "Kent")];
const NAMES: [&str; 7] = ["Ada", "Boris", "Chiara", "Dvořák", "Élodie", "Fatou", "Goro"];
const SURNAMES: [&str; 5] = ["Abara", "Lindqvist", "Moreau", "Nakata", "Weiss"];
const THINGS: [&str; 6] = ["lamp", "chair", "violin", "bicycle", "atlas", "kettle"];
const CHANNELS: [&str; 5] = ["Google", "facebook", "Baidu", "apple", "channel-7"];

/// Persons, auctions and bids, each in the order in which they come.
pub(super) fn events() -> [Vec<String>; 3] {
    let mut chance = Chance::seeded(2008);
    let (mut persons, mut auctions, mut bids) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..EVENTS {
        // Out of order by up to four seconds; the last digits make it unique.
        let ms = 10_000 + n * STEP_MS - chance.below(4) * 1_000 + n % 1_000;
        let (known_persons, known_auctions) = (persons.len() as u64, auctions.len() as u64);
        match n % 25 {
            0 => {
                let name = format!("{} {}", chance.of(&NAMES), chance.of(&SURNAMES));
                let (state, city) = STATES[(chance.below(STATES.len() as u64)) as usize];
                let card = format!("{:04} {:04} {:04} {:04}", chance.below(10_000), chance.below(10_000), chance.below(10_000), n);
                let address = format!("{}@{}.example", name.to_lowercase().replace(' ', "."), city.to_lowercase().replace(' ', "-"));
                persons.push(
                    json!({"id": 1_000 + known_persons, "name": name, "email_address": address, "credit_card": card, "city": city,
                        "state": state, "date_time": time(ms), "extra": "x".repeat((n % 5) as usize)})
                    .to_string(),
                );
            }
            8 | 12 | 16 => {
                let initial = 100 + chance.below(5_000);
                auctions.push(
                    json!({"id": 1_000 + known_auctions, "item_name": chance.of(&THINGS), "description": format!("number {n}"),
                        "initial_bid": initial, "reserve": initial + chance.below(2_000), "date_time": time(ms),
                        "expires": time(ms + 20_000 + chance.below(600) * 1_000), "seller": 1_000 + chance.below(known_persons),
                        "category": 10 + chance.below(5), "extra": ""})
                    .to_string(),
                );
            }
            _ => {
                let channel = chance.of(&CHANNELS);
                let auction = 1_000 + known_auctions - chance.below(known_auctions.min(12) + 1);
                let url = format!("https://auctions.example/{}/{}/item.htm?channel_id={}", channel, auction % 7, chance.below(1_000));
                bids.push(
                    json!({"auction": auction, "bidder": 1_000 + chance.below(known_persons), "price": 100 + chance.below(30_000),
                        "channel": channel, "url": url, "date_time": time(ms), "extra": if n % 3 == 0 { "abcc" } else { "xc" }})
                    .to_string(),
                );
            }
        }
    }
    [persons, auctions, bids]
}
