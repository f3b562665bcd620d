#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request as HttpRequest};
use futures::StreamExt;
use millstream_core::Timestamp;
use millstream_core::ports::{EpochSink, Publication, ReportStore};
use millstream_core::status::{EngineStatus, PipelineStatus, ReferenceStatus};
use millstream_testkit::ManualClock;
use serde_json::{Value, json};

use super::super::HttpSettings;
use super::super::toys::{GATE, World, critical, epoch, rows};
use super::*;

mod critical;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

async fn send(api: &Api, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(HttpRequest::builder().method(method).uri(path), |r, (k, v)| r.header(*k, *v));
    let response = api.clone().answer(request.body(Body::empty()).unwrap()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
    Answer { status, headers, body }
}

async fn get(world: &World, path: &str) -> Answer {
    send(&world.api, Method::GET, path, &[]).await
}

async fn insert(world: &World, key: &str, v: f64) {
    world.events.commit(epoch("events", rows(&[(key, v)]), world.version())).await.unwrap();
}

#[tokio::test]
async fn a_row_that_was_read_as_missing_is_there_after_its_commit() {
    let world = World::new();
    let before = get(&world, "/v1/tables/events?k=a").await;
    assert_eq!((before.status, before.json()), (200, json!({ "table": "events", "rows": [], "next_page": null })));
    assert_eq!(before.header("cache-status"), "millstream; fwd=miss; stored; detail=event-store");
    insert(&world, "a", 1.5).await;
    let after = get(&world, "/v1/tables/events?k=a").await;
    assert_eq!(after.json()["rows"], json!([{ "k": "a", "v": 1.5 }]));
}

#[tokio::test]
async fn a_cached_answer_says_its_age_and_how_long_it_stays_fresh() {
    let world = World::new();
    insert(&world, "a", 1.0).await;
    get(&world, "/v1/tables/events?k=a").await;
    world.clock.advance(Duration::from_secs(10));
    let hit = get(&world, "/v1/tables/events?k=a").await;
    assert_eq!((hit.header("age"), hit.header("cache-control")), ("10", "no-cache"));
    let ttl: i64 =
        hit.header("cache-status").strip_prefix("millstream; hit; ttl=").unwrap().strip_suffix("; detail=memory").unwrap().parse().unwrap();
    assert!((43..=50).contains(&ttl), "{ttl}");
    assert_eq!(world.toy_events.switches.reads(), 1);
}

#[tokio::test]
async fn a_thousand_misses_of_one_key_at_one_time_read_the_store_once() {
    let world = World::new();
    insert(&world, "a", 1.0).await;
    let closed = world.toy_events.switches.gate.acquire_many(GATE).await.unwrap();
    let asked = async {
        let all = (0..1_000).map(|_| get(&world, "/v1/tables/events?k=a"));
        futures::future::join_all(all).await
    };
    let opened = async {
        // Every request waits for its time-out on the clock beside its work.
        world.clock.until_sleepers(1_000).await;
        drop(closed);
    };
    let (answers, ()) = futures::join!(asked, opened);
    assert!(answers.iter().all(|a| a.json()["rows"] == json!([{ "k": "a", "v": 1.0 }])));
    assert_eq!(world.toy_events.switches.reads(), 1);
    assert_eq!(answers.iter().filter(|a| a.header("cache-status").contains("collapsed")).count(), 999);
}

#[tokio::test]
async fn while_the_store_is_down_a_held_answer_is_given_and_an_unknown_key_is_503() {
    let world = World::new();
    insert(&world, "a", 1.0).await;
    get(&world, "/v1/tables/events?k=a").await;
    world.toy_events.switches.set_down(true);
    world.clock.advance(Duration::from_secs(70));
    let stale = get(&world, "/v1/tables/events?k=a").await;
    assert_eq!(stale.status, 200);
    assert!(stale.header("cache-status").starts_with("millstream; hit; ttl=-"), "{}", stale.header("cache-status"));
    let unknown = get(&world, "/v1/tables/events?k=b").await;
    assert_eq!((unknown.status, unknown.header("retry-after")), (503, "1"));
    assert_eq!(unknown.header("content-type"), "application/problem+json");
    insert(&world, "a", 2.0).await;
    assert_eq!(get(&world, "/v1/tables/events?k=a").await.status, 503, "a write came between");
}

#[tokio::test]
async fn an_answer_does_not_outlive_the_first_of_its_rows() {
    let world = World::new();
    let version = world.version();
    world.events.commit(epoch("fleeting", rows(&[("a", 1.0)]), version)).await.unwrap();
    assert!(get(&world, "/v1/tables/fleeting?k=a").await.header("cache-status").contains("fwd=miss"));
    world.clock.advance(Duration::from_secs(9));
    assert_eq!(get(&world, "/v1/tables/fleeting?k=a").await.header("cache-status"), "millstream; hit; ttl=1; detail=memory");
    world.clock.advance(Duration::from_secs(1));
    assert!(get(&world, "/v1/tables/fleeting?k=a").await.header("cache-status").contains("fwd="));
    world.toy_events.switches.set_down(true);
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(get(&world, "/v1/tables/fleeting?k=a").await.status, 503, "not even stale");
}

#[tokio::test]
async fn a_partition_is_read_page_by_page() {
    let world = World::new();
    for v in [1.0, 2.0, 3.0] {
        insert(&world, "a b", v).await;
    }
    let first = get(&world, "/v1/tables/events?k=a%20b&limit=2").await;
    assert_eq!((first.json()["rows"].as_array().unwrap().len(), &first.json()["next_page"]), (2, &json!("2")));
    assert_eq!(first.header("link"), "</v1/tables/events?k=a%20b&limit=2&page=2>; rel=\"next\"");
    let second = get(&world, "/v1/tables/events?k=a%20b&limit=2&page=2").await;
    assert_eq!((&second.json()["rows"], &second.json()["next_page"]), (&json!([{ "k": "a b", "v": 3.0 }]), &Value::Null));
}

#[tokio::test]
async fn an_unchanged_answer_is_304() {
    let world = World::new();
    insert(&world, "a", 1.0).await;
    let full = get(&world, "/v1/tables/events?k=a").await;
    let tag = full.header("etag").to_owned();
    let again = send(&world.api, Method::GET, "/v1/tables/events?k=a", &[("if-none-match", &format!("\"x\", W/{tag}"))]).await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", tag.as_str()));
    insert(&world, "a", 2.0).await;
    assert_eq!(send(&world.api, Method::GET, "/v1/tables/events?k=a", &[("if-none-match", &tag)]).await.status, 200);
}

#[tokio::test]
async fn a_critical_event_comes_from_its_store_then_from_the_event_store_and_is_filled() {
    let world = World::new();
    let expires = Some(ManualClock::START.plus(Duration::from_secs(90)));
    world.toy_critical.put(critical("a", 1.0, expires));
    world.clock.advance(Duration::from_secs(30));
    let hit = get(&world, "/v1/tables/critical?k=a").await;
    assert_eq!((hit.header("cache-status"), hit.header("age")), ("millstream; hit; ttl=60; detail=critical-store", "30"));
    world.toy_critical.forget();
    world.toy_loader.put(critical("a", 1.0, expires));
    let filled = get(&world, "/v1/tables/critical?k=a").await;
    assert_eq!(filled.json()["rows"], json!([{ "k": "a", "v": 1.0 }]));
    assert_eq!(filled.header("cache-status"), "millstream; fwd=miss; stored; detail=event-store");
    let again = get(&world, "/v1/tables/critical?k=a").await;
    assert!(again.header("cache-status").ends_with("detail=critical-store"));
    assert_eq!(world.toy_loader.switches.reads(), 1);
}

#[tokio::test]
async fn a_critical_event_that_is_nowhere_is_404_and_not_looked_up_again_until_a_write() {
    let world = World::new();
    let missing = get(&world, "/v1/tables/critical?k=a").await;
    assert_eq!((missing.status, missing.header("content-type")), (404, "application/problem+json"));
    assert_eq!(missing.json()["status"], 404);
    let again = get(&world, "/v1/tables/critical?k=a").await;
    assert_eq!(again.status, 404);
    assert!(again.header("cache-status").starts_with("millstream; hit"), "{}", again.header("cache-status"));
    assert_eq!(world.toy_loader.switches.reads(), 1);
    world.critical.commit(epoch("critical", rows(&[("a", 2.0)]), world.version())).await.unwrap();
    world.toy_critical.forget();
    get(&world, "/v1/tables/critical?k=a").await;
    assert_eq!(world.toy_loader.switches.reads(), 2, "the write made the absence invalid");
}

#[tokio::test]
async fn a_report_is_read_by_primary_key_and_a_publication_shows_at_once() {
    let world = World::new();
    assert_eq!(get(&world, "/v1/tables/report?k=a").await.status, 404);
    let publish = |run, v| {
        let stream = futures::stream::iter([Ok(rows(&[("a", v)]))]).boxed();
        world.report.publish(Publication { report: "report".into(), run, rows: stream })
    };
    publish(1, 1.0).await.unwrap();
    assert_eq!(get(&world, "/v1/tables/report?k=a").await.json()["rows"], json!([{ "k": "a", "v": 1.0 }]));
    publish(2, 2.0).await.unwrap();
    assert_eq!(get(&world, "/v1/tables/report?k=a").await.json()["rows"], json!([{ "k": "a", "v": 2.0 }]));
    assert!(get(&world, "/v1/tables/report?k=a").await.header("cache-status").contains("hit"));
    assert_eq!(world.toy_report.switches.reads(), 3);
}

#[tokio::test]
async fn reference_data_is_filtered_and_paged() {
    let world = World::new();
    let both = get(&world, "/v1/tables/airlines?k=UA").await;
    assert_eq!(both.json()["rows"], json!([{ "k": "UA", "v": 1.0 }, { "k": "UA", "v": 3.0 }]));
    let first = get(&world, "/v1/tables/airlines?limit=2").await;
    assert_eq!(first.json()["next_page"], "2");
    let rest = get(&world, "/v1/tables/airlines?limit=2&page=2").await;
    assert_eq!((rest.json()["rows"].as_array().unwrap().len(), &rest.json()["next_page"]), (1, &Value::Null));
}

#[tokio::test]
async fn wrong_requests_are_problems_that_say_what_to_do() {
    let world = World::new();
    let cases = [
        ("/v1/tables/events", 400, "for example /v1/tables/events?k=TEXT"),
        ("/v1/tables/events?k=a&colour=red", 400, "colour"),
        ("/v1/tables/flights", 404, "millstream sql"),
        ("/v1/tables/nowhere", 404, "airlines, alone, critical, events"),
        ("/nowhere", 404, "/openapi.json"),
    ];
    for (path, status, says) in cases {
        let answer = get(&world, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{path}: {}", answer.body);
    }
    assert_eq!(world.toy_events.switches.reads.load(Ordering::SeqCst), 0, "a wrong request reads no store");
    let post = send(&world.api, Method::POST, "/v1/tables/events?k=a", &[]).await;
    assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn head_answers_without_a_body_and_every_answer_has_safe_headers() {
    let world = World::new();
    for path in ["/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/status", "/v1/tables", "/v1/tables/events?k=a"] {
        let answer = send(&world.api, Method::HEAD, path, &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
}

#[tokio::test]
async fn a_slow_store_is_answered_with_504_and_too_many_requests_with_503() {
    let world = World::with(HttpSettings { requests_max: 1, ..HttpSettings::default() });
    let _closed = world.toy_events.switches.gate.acquire_many(GATE).await.unwrap();
    let slow = get(&world, "/v1/tables/events?k=a");
    let meanwhile = async {
        world.clock.until_sleepers(1).await;
        let refused = get(&world, "/v1/tables/events?k=b").await;
        assert_eq!(get(&world, "/healthz").await.status, 200, "a busy process is not a dead one");
        world.clock.advance(Duration::from_secs(10));
        refused
    };
    let (slow, refused) = futures::join!(slow, meanwhile);
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!((slow.status, slow.header("retry-after")), (504, "1"));
}

#[tokio::test]
async fn an_overlong_url_is_414() {
    let world = World::with(HttpSettings { uri_bytes_max: 64, ..HttpSettings::default() });
    assert_eq!(get(&world, &format!("/v1/tables/events?k={}", "a".repeat(64))).await.status, 414);
}

#[tokio::test]
async fn readiness_names_each_system_and_since_when_one_is_away_and_why() {
    let world = World::new();
    let engine = |system: &str, away| EngineStatus { serves: "reports".into(), system: system.into(), place: "db:5432".into(), away };
    let set = |engines| *world.status.0.lock().unwrap() = PipelineStatus { engines, ..PipelineStatus::default() };
    set(vec![engine("postgresql", None)]);
    let ready = get(&world, "/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["engines"], json!([{ "box": "reports", "system": "postgresql", "place": "db:5432", "state": "ok" }]));
    set(vec![engine("postgresql", Some((Timestamp(0), "connection refused".into())))]);
    let away = get(&world, "/readyz").await;
    assert_eq!((away.status, away.header("retry-after")), (503, "1"));
    assert_eq!(away.json()["engines"][0]["state"], "away");
    assert_eq!(away.json()["engines"][0]["why"], "connection refused");
    assert!(away.json()["engines"][0]["since"].as_str().unwrap().starts_with("1970-01-01T00:00:00"), "{}", away.body);
    assert!(away.json()["reasons"][0].as_str().unwrap().starts_with("postgresql (reports at db:5432) is away since "), "{}", away.body);
}

#[tokio::test]
async fn old_reference_data_is_degraded_and_no_reason_to_be_unready() {
    let world = World::new();
    let airlines = ReferenceStatus {
        table: "airlines".into(),
        rows: 16,
        generation: 1,
        checked: Timestamp(0),
        failing_since: Some(Timestamp(60_000_000)),
        last_error: Some((Timestamp(120_000_000), "no such file".into())),
    };
    *world.status.0.lock().unwrap() = PipelineStatus { references: vec![airlines], ..PipelineStatus::default() };
    let ready = get(&world, "/readyz").await;
    assert_eq!((ready.status, &ready.json()["reasons"]), (200, &json!([])));
    let told = "airlines can't be refreshed since 1970-01-01T00:01:00Z and is joined as it was at 1970-01-01T00:00:00Z: no such file";
    assert_eq!(ready.json()["degraded"], json!([told]));
}

#[tokio::test]
async fn a_pipeline_that_is_opening_answers_probes_and_nothing_else() {
    let (world, parts) = World::parts();
    let opening = opening(parts.about, &HttpSettings::default());
    *world.status.0.lock().unwrap() = PipelineStatus { opening: Some("kafka doesn't answer".into()), ..PipelineStatus::default() };
    let ask = async |path| send(&opening, Method::GET, path, &[]).await;
    assert_eq!(ask("/healthz").await.status, 200);
    let ready = ask("/readyz").await;
    assert_eq!((ready.status, &ready.json()["reasons"]), (503, &json!(["the pipeline is opening: kafka doesn't answer"])));
    assert!(ask("/").await.body.contains("kafka doesn&#39;t answer"));
    assert!(ask("/metrics").await.body.contains("millstream_opening 1\n"));
    assert_eq!(ask("/v1/tables/events?k=a").await.status, 503);
}

#[tokio::test]
async fn readiness_follows_the_pipeline() {
    let world = World::new();
    assert_eq!(get(&world, "/readyz").await.status, 200);
    *world.status.0.lock().unwrap() = PipelineStatus { intake_paused: Some("the disk is full".into()), ..PipelineStatus::default() };
    let unready = get(&world, "/readyz").await;
    assert_eq!((unready.status, unready.header("content-type")), (503, "application/json"));
    assert_eq!(unready.json()["reasons"], json!(["intake is paused: the disk is full"]));
    assert_eq!(get(&world, "/healthz").await.status, 200);
}
