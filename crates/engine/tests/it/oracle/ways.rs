//! The ways in which a query is run, none of which may change its rows.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::ErrorKind;
use millstream_engine::Engine;
use millstream_testkit::faults::Call;
use millstream_testkit::generate::Changes;

use super::queries::Query;
use crate::world::World;

/// How many restarts a run may need.
const RESTARTS: usize = 60;

/// Most runs take less than a second.
const LIMIT: Duration = Duration::from_secs(120);

/// How far, in events, one may come after another that followed it: less than every query's watermark allows.
const DISORDER: usize = 4;

/// One way. Numbers are seeds.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// Everything is there before the start, and an epoch may take all of it; `verify` has nothing to say afterwards.
    Straight,
    /// Epochs of a random size, and events that come in random pieces while the flows run.
    Pieces(u64),
    /// Processes that die before and after random calls of the ports, and are started again.
    Killed(u64),
    /// Events out of order, and some of them twice where that can't change the result.
    Disturbed(u64),
}

impl Way {
    /// All ways, those with a seed once for each.
    pub fn all(seeds: &[u64]) -> Vec<Self> {
        let seeded = seeds.iter().flat_map(|seed| [Self::Pieces(*seed), Self::Killed(*seed), Self::Disturbed(*seed)]);
        std::iter::once(Self::Straight).chain(seeded).collect()
    }

    /// Those in which events come in their order: what is late follows from it.
    pub fn in_order(seeds: &[u64]) -> Vec<Self> {
        Self::all(seeds).into_iter().filter(|way| !matches!(way, Self::Disturbed(_))).collect()
    }

    /// Runs the query until all events are processed. One that never is fails by its name, in place of the whole suite that hangs.
    pub async fn run(self, query: &Query) -> Result<Ran, String> {
        match tokio::time::timeout(LIMIT, self.run_on(query)).await {
            Ok(ran) => ran,
            Err(_) => Err(format!("not all events are processed after {LIMIT:?}")),
        }
    }

    async fn run_on(self, query: &Query) -> Result<Ran, String> {
        match self {
            Self::Straight => {
                let world = query.world(100_000);
                prepare(&world, query, &arrivals(query)).await;
                let engine = world.run().await.map_err(|error| error.to_string())?;
                let report = engine.verify(&|_| {}).await.map_err(|error| format!("verify fails: {error}"))?;
                if report.is_clean() { Ok(Ran { world, engine, deaths: 0 }) } else { Err(format!("verify: {report}")) }
            }
            Self::Pieces(seed) => in_pieces(query, &mut Changes::seeded(seed, 1)).await,
            Self::Killed(seed) => killed(query, &mut Changes::seeded(seed, 1)).await,
            Self::Disturbed(seed) => {
                let mut chance = Changes::seeded(seed, 1);
                let world = query.world(1 + chance.below(90));
                prepare(&world, query, &disturbed(query, &mut chance)).await;
                let engine = world.run().await.map_err(|error| error.to_string())?;
                Ok(Ran { world, engine, deaths: 0 })
            }
        }
    }
}

/// A run that is done.
pub struct Ran {
    pub world: World,
    pub engine: Arc<Engine>,
    /// How many processes died and were followed by one that restored their state.
    pub deaths: usize,
}

/// An event on its way: topic, partition, value.
type Arrival = (String, i32, String);

/// The events of all topics in turns, each topic's in their order, with those that close windows at the end.
fn arrivals(query: &Query) -> Vec<Arrival> {
    let mut arrivals: Vec<(usize, Arrival)> = Vec::new();
    for (topic, partitions, events) in &query.topics {
        let spread = |at: usize| i32::try_from(at % usize::try_from(*partitions).unwrap()).unwrap();
        // The thousandth part of the topic at which an event comes, so that topics keep pace.
        arrivals
            .extend(events.iter().enumerate().map(|(at, event)| (at * 1_000 / events.len(), (topic.clone(), spread(at), event.clone()))));
        if query.closed_by_later_event {
            let last = events.last().unwrap();
            arrivals.extend((0..*partitions).map(|partition| (1_000, (topic.clone(), partition, much_later(last)))));
        }
    }
    arrivals.sort_by_key(|(part, _)| *part);
    arrivals.into_iter().map(|(_, arrival)| arrival).collect()
}

/// The event at a time behind all others, so that the watermark passes these.
fn much_later(event: &str) -> String {
    let mut event: serde_json::Map<String, serde_json::Value> = serde_json::from_str(event).unwrap();
    for time in ["ts", "date_time", "at"].iter().filter(|time| event.contains_key(**time)).copied().collect::<Vec<_>>() {
        event.insert(time.to_owned(), "2024-06-01T00:00:00Z".into());
    }
    serde_json::Value::from(event).to_string()
}

/// Creates the topics and publishes to them.
async fn prepare(world: &World, query: &Query, arrivals: &[Arrival]) {
    drop(world.engine().await);
    publish(world, arrivals).await;
    assert!(!query.topics.is_empty(), "{} reads no topic", query.name);
}

async fn publish(world: &World, arrivals: &[Arrival]) {
    for (topic, partition, value) in arrivals {
        world.publish_to(topic, [(*partition, value.clone())]).await;
    }
}

async fn in_pieces(query: &Query, chance: &mut Changes) -> Result<Ran, String> {
    let world = query.world(1 + chance.below(70));
    let running = world.start().await;
    let engine = running.engine.clone();
    let all = arrivals(query);
    let mut rest = all.as_slice();
    let mut outcome = Ok(());
    while !rest.is_empty() && outcome.is_ok() {
        let (piece, later) = rest.split_at(rest.len().min(1 + chance.below(260)));
        publish(&world, piece).await;
        outcome = engine.caught_up().await;
        rest = later;
    }
    running.stop().await;
    outcome.map(|()| Ran { world, engine, deaths: 0 }).map_err(|error| error.to_string())
}

async fn killed(query: &Query, chance: &mut Changes) -> Result<Ran, String> {
    let world = query.world(20 + chance.below(60));
    prepare(&world, query, &arrivals(query)).await;
    for call in [Call::Commit, Call::Put, Call::Begin, Call::Claim, Call::ReadLog, Call::FeedRead] {
        for _ in 0..4 {
            let nth = 1 + chance.below(16) as u64;
            if chance.below(2) == 0 {
                world.faults.fail(call, nth, ErrorKind::Internal);
            } else {
                world.faults.fail_after(call, nth, ErrorKind::Internal);
            }
        }
    }
    for deaths in 0..RESTARTS {
        match world.run().await {
            Ok(_) => {
                world.faults.heal();
                let engine = world.run().await.map_err(|error| format!("after the last restart: {error}"))?;
                return Ok(Ran { world, engine, deaths });
            }
            Err(error) if error.kind() == ErrorKind::Internal && error.to_string().contains("a test's plan says so") => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("still failing after {RESTARTS} restarts"))
}

/// The events with neighbours exchanged, and every seventh or so a second time soon after.
fn disturbed(query: &Query, chance: &mut Changes) -> Vec<Arrival> {
    let all = arrivals(query);
    let mut placed: Vec<(usize, Arrival)> = Vec::new();
    let last = all.len();
    for (at, arrival) in all.into_iter().enumerate() {
        if arrival.2.contains("2024-06-01") {
            placed.push((last + DISORDER, arrival));
            continue;
        }
        if !query.doubling_changes && chance.below(7) == 0 {
            placed.push((at + chance.below(DISORDER), arrival.clone()));
        }
        placed.push((at + chance.below(DISORDER), arrival));
    }
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, arrival)| arrival).collect()
}
