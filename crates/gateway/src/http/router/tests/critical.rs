//! Critical events while their store is away, and after it.

use super::*;

const READ: &str = "/v1/tables/critical?k=a";
const HIT: &str = "millstream; hit; detail=critical-store";
const BYPASS: &str = "millstream; fwd=bypass; detail=event-store-because-critical-store-unavailable";

/// The row is in both stores.
fn world() -> World {
    let world = World::new();
    world.toy_critical.put(critical("a", 1.0, None));
    world.toy_loader.put(critical("a", 1.0, None));
    world
}

/// So many failures in a row open the breaker.
async fn open(world: &World) {
    world.toy_critical.switches.set_down(true);
    for _ in 0..HttpSettings::default().critical_failures_max {
        get(world, READ).await;
    }
}

fn retry() -> Duration {
    Duration::from_millis(HttpSettings::default().critical_retry_ms)
}

async fn breaker(world: &World) -> String {
    let metrics = get(world, "/metrics").await.body;
    let on = metrics.lines().find_map(|line| line.strip_prefix("millstream_http_critical_breaker{state=\"")?.strip_suffix("\"} 1"));
    on.unwrap().to_owned()
}

#[tokio::test]
async fn websites_are_served_while_the_store_is_away_and_it_is_soon_left_alone() {
    let world = world();
    assert_eq!(get(&world, READ).await.header("cache-status"), HIT);
    assert_eq!(breaker(&world).await, "closed");
    open(&world).await;
    assert_eq!(world.toy_critical.switches.reads(), 6);
    let answer = get(&world, READ).await;
    assert_eq!((answer.status, answer.header("cache-status")), (200, BYPASS));
    assert_eq!(answer.json()["rows"], json!([{ "k": "a", "v": 1.0 }]));
    assert_eq!(world.toy_critical.switches.reads(), 6, "it was not asked");
    assert_eq!(world.toy_critical.fills.load(Ordering::SeqCst), 0, "nor given anything");
    assert_eq!(breaker(&world).await, "open");
}

#[tokio::test]
async fn one_read_finds_out_that_the_store_is_back_without_waiting_for_it() {
    let world = world();
    open(&world).await;
    world.toy_critical.switches.set_down(false);
    assert_eq!(get(&world, READ).await.header("cache-status"), BYPASS, "it is too early to try");
    world.clock.advance(retry());
    let asked = world.toy_critical.switches.reads();
    let closed = world.toy_critical.switches.gate.acquire_many(GATE).await.unwrap();
    for _ in 0..3 {
        assert_eq!(get(&world, READ).await.header("cache-status"), BYPASS);
    }
    world.clock.until_sleepers(1).await;
    assert_eq!(breaker(&world).await, "half_open");
    assert_eq!(world.toy_critical.switches.reads(), asked + 1, "one probe at a time");
    drop(closed);
    world.toy_critical.switches.until_ended(asked + 1).await;
    assert_eq!(breaker(&world).await, "closed");
    assert_eq!(get(&world, READ).await.header("cache-status"), HIT);
}

#[tokio::test]
async fn a_store_that_hangs_holds_up_nobody_for_longer_than_its_limit() {
    let world = world();
    let _closed = world.toy_critical.switches.gate.acquire_many(GATE).await.unwrap();
    let asked = futures::future::join_all((0..5).map(|_| get(&world, READ)));
    let passes = async {
        // Each read waits for its own time-out and for that of the request.
        world.clock.until_sleepers(10).await;
        world.clock.advance(Duration::from_millis(HttpSettings::default().critical_timeout_ms));
    };
    let (answers, ()) = futures::join!(asked, passes);
    for answer in answers {
        assert_eq!(answer.status, 200);
        assert!(answer.header("cache-status").starts_with("millstream; fwd=bypass"), "{}", answer.header("cache-status"));
    }
    assert_eq!(get(&world, READ).await.header("cache-status"), BYPASS, "at once: the clock stands still");
    assert_eq!(world.toy_critical.switches.reads(), 5);
}

#[tokio::test]
async fn many_reads_of_one_key_without_the_store_are_one_read_of_the_event_store() {
    let world = world();
    open(&world).await;
    let before = world.toy_loader.switches.reads();
    let closed = world.toy_loader.switches.gate.acquire_many(GATE).await.unwrap();
    let asked = futures::future::join_all((0..100).map(|_| get(&world, READ)));
    let opened = async {
        world.clock.until_sleepers(100).await;
        drop(closed);
    };
    let (answers, ()) = futures::join!(asked, opened);
    assert_eq!(world.toy_loader.switches.reads(), before + 1);
    let collapsed = "millstream; fwd=bypass; collapsed; detail=event-store-because-critical-store-unavailable";
    assert_eq!(answers.iter().filter(|a| a.header("cache-status") == collapsed).count(), 99);
}

#[tokio::test]
async fn reads_without_the_store_are_degraded_and_the_pipeline_is_ready() {
    let world = world();
    assert_eq!(get(&world, "/readyz").await.json()["degraded"], json!([]));
    open(&world).await;
    let ready = get(&world, "/readyz").await;
    assert_eq!((ready.status, &ready.json()["reasons"]), (200, &json!([])));
    let why = "critical events are read from the event store since 2024-01-01T00:00:00Z: the toy is switched off";
    assert_eq!(ready.json()["degraded"], json!([why]));
}

#[tokio::test]
async fn what_is_in_the_store_alone_is_503_while_that_is_away() {
    let world = World::new();
    let alone = "/v1/tables/alone?k=z";
    world.toy_critical.switches.set_down(true);
    let first = get(&world, alone).await;
    assert_eq!((first.status, first.header("retry-after")), (503, "1"));
    open(&world).await;
    world.clock.advance(Duration::from_millis(1_500));
    let refused = get(&world, alone).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "4"), "3.5 s are left");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.json()["detail"].as_str().unwrap().contains("table alone"), "{}", refused.body);
    world.toy_critical.switches.set_down(false);
    world.clock.advance(retry());
    let asked = world.toy_critical.switches.reads();
    assert_eq!(get(&world, alone).await.status, 503, "it sets off the probe");
    world.toy_critical.switches.until_ended(asked + 1).await;
    assert_eq!(get(&world, alone).await.status, 404, "the store says so");
}

#[tokio::test]
async fn a_row_that_can_not_be_filled_in_is_given_all_the_same() {
    let world = world();
    world.toy_critical.forget();
    let loader = world.toy_loader.switches.gate.acquire_many(GATE).await.unwrap();
    let asked = get(&world, READ);
    let passes = async {
        // The store said that it has no such row; the load waits. Then the store hangs, and the load goes on.
        world.toy_critical.switches.until_ended(1).await;
        let closed = world.toy_critical.switches.gate.acquire_many(GATE).await.unwrap();
        world.clock.until_sleepers(1).await;
        drop(loader);
        world.clock.until_sleepers(2).await;
        world.clock.advance(Duration::from_millis(HttpSettings::default().critical_timeout_ms));
        closed
    };
    let (answer, _closed) = futures::join!(asked, passes);
    assert_eq!((answer.status, answer.header("cache-status")), (200, "millstream; fwd=miss; detail=event-store"));
    assert_eq!(world.toy_critical.fills.load(Ordering::SeqCst), 1);
}
