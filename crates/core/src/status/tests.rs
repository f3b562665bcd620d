#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use serde_json::json;

use super::*;

const AT: Timestamp = Timestamp(1_388_534_340_250_000);

#[test]
fn as_json_moments_are_rfc_3339_and_durations_have_their_unit_in_their_name() {
    let why = || Some((AT, "refused".to_owned()));
    let status = PipelineStatus {
        opening: None,
        engines: vec![EngineStatus { serves: "reports".into(), system: "postgresql".into(), place: "db:5432".into(), away: why() }],
        flows: vec![FlowStatus {
            flow: "hourly".into(),
            table: "hourly_delays".into(),
            source: "flights".into(),
            phase: FlowPhase::Waiting,
            attempt: Attempt(2),
            epoch: Epoch(7),
            rows_in: 10,
            rows_out: 5,
            rows_per_second: 2.5,
            lag: Some(3),
            watermark: Some(EventTime(0)),
            dead_letters: 1,
            late_rows: 4,
            fell_back_to: None,
            last_error: why(),
        }],
        jobs: vec![JobStatus {
            report: "daily".into(),
            schedule: None,
            next_run: Some(AT),
            running: false,
            last_success: Some(AT),
            last_duration: Some(Duration::from_micros(431_900)),
            rows: Some(16),
            last_error: None,
        }],
        references: vec![ReferenceStatus {
            table: "airlines".into(),
            rows: 16,
            generation: 1,
            checked: Timestamp(0),
            failing_since: Some(AT),
            last_error: why(),
        }],
        grown_topics: vec![GrownTopic { topic: "flights".into(), partitions: 4, read: 2 }],
        intake_paused: None,
    };
    let at = "2013-12-31T23:59:00.250Z";
    let last_error = json!({ "at": at, "why": "refused" });
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        json!({
            "opening": null,
            "engines": [{ "box": "reports", "system": "postgresql", "place": "db:5432", "away": { "since": at, "why": "refused" } }],
            "flows": [{
                "flow": "hourly", "table": "hourly_delays", "source": "flights", "phase": "waiting", "attempt": 2, "epoch": 7,
                "rows_in": 10, "rows_out": 5, "rows_per_second": 2.5, "lag": 3, "watermark": "1970-01-01T00:00:00Z",
                "dead_letters": 1, "late_rows": 4, "fell_back_to": null, "last_error": last_error
            }],
            "jobs": [{
                "report": "daily", "schedule": null, "next_run": at, "running": false, "last_success": at, "last_duration_ms": 431,
                "rows": 16, "last_error": null
            }],
            "references": [{
                "table": "airlines", "rows": 16, "generation": 1, "checked": "1970-01-01T00:00:00Z", "failing_since": at,
                "last_error": last_error
            }],
            "grown_topics": [{ "topic": "flights", "partitions": 4, "read": 2 }],
            "intake_paused": null
        })
    );
}

#[test]
fn what_is_not_there_is_null() {
    let engine = EngineStatus { serves: "topics".into(), system: "built in".into(), place: "log".into(), away: None };
    assert_eq!(serde_json::to_value(&engine).unwrap()["away"], json!(null));
}
