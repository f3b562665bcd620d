#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use millstream_core::{Attempt, Epoch, EventTime, Timestamp};

use super::*;

fn flow() -> FlowStatus {
    FlowStatus {
        flow: "hourly \"delays\"".into(),
        table: "hourly_delays".into(),
        source: "flights".into(),
        phase: FlowPhase::Waiting,
        attempt: Attempt(2),
        epoch: Epoch(7),
        rows_in: 10,
        rows_out: 5,
        rows_per_second: 2.5,
        lag: Some(3),
        watermark: Some(EventTime(1_500_000)),
        dead_letters: 1,
        late_rows: 4,
        fell_back_to: Some(Epoch(5)),
        last_error: Some((Timestamp(2_000_000), "no".into())),
    }
}

#[test]
fn each_flow_has_its_rate_lag_watermark_and_phase() {
    let text = render(&PipelineStatus { flows: vec![flow()], ..PipelineStatus::default() });
    let labels = r#"{flow="hourly \"delays\"",table="hourly_delays",source="flights"}"#;
    for (name, value) in [
        ("rows_per_second", "2.5"),
        ("lag_rows", "3"),
        ("watermark_seconds", "1.5"),
        ("dead_letters_total", "1"),
        ("late_rows_total", "4"),
        ("epoch", "7"),
        ("fell_back_to_epoch", "5"),
        ("last_error_seconds", "2"),
    ] {
        let line = format!("millstream_flow_{name}{labels} {value}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let phase = |name: &str, value: u8| format!("source=\"flights\",phase=\"{name}\"}} {value}\n");
    assert!(text.contains(&phase("waiting", 1)) && text.contains(&phase("running", 0)));
}

#[test]
fn a_flow_without_a_watermark_has_no_such_sample() {
    let text = render(&PipelineStatus { flows: vec![FlowStatus { watermark: None, ..flow() }], ..PipelineStatus::default() });
    assert!(!text.contains("millstream_flow_watermark_seconds{"));
}

#[test]
fn a_lag_that_is_not_known_yet_is_not_zero() {
    let text = render(&PipelineStatus { flows: vec![FlowStatus { lag: None, ..flow() }], ..PipelineStatus::default() });
    assert!(text.contains("# TYPE millstream_flow_lag_rows gauge\n") && !text.contains("millstream_flow_lag_rows{"), "{text}");
}

#[test]
fn every_sample_belongs_to_the_family_announced_before_it() {
    let job = JobStatus {
        report: "carrier_daily".into(),
        schedule: None,
        next_run: Some(Timestamp(1)),
        running: true,
        last_success: Some(Timestamp(1)),
        last_duration: Some(std::time::Duration::from_millis(1_500)),
        rows: Some(5_432),
        last_error: None,
    };
    let text = render(&PipelineStatus { flows: vec![flow()], jobs: vec![job], ..PipelineStatus::default() });
    let mut family = "";
    for line in text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(announced) => family = announced.split(' ').next().unwrap(),
            None if line.starts_with('#') => {}
            None => assert_eq!(line.split(['{', ' ']).next().unwrap(), family),
        }
    }
    assert!(text.contains("millstream_job_report_rows{report=\"carrier_daily\"} 5432\n"));
    assert!(text.contains("millstream_job_last_duration_seconds{report=\"carrier_daily\"} 1.5\n"));
}

#[test]
fn a_system_that_is_away_is_0_and_says_since_when() {
    let engine = |system: &str, away| EngineStatus { serves: "reports".into(), system: system.into(), place: "db:5432".into(), away };
    let engines = vec![engine("postgresql", Some((Timestamp(3_000_000), "refused".into()))), engine("built in", None)];
    let text = render(&PipelineStatus { engines, ..PipelineStatus::default() });
    assert!(text.contains("millstream_engine_up{box=\"reports\",system=\"postgresql\"} 0\n"), "{text}");
    assert!(text.contains("millstream_engine_up{box=\"reports\",system=\"built in\"} 1\n"), "{text}");
    assert!(text.contains("millstream_engine_away_since_seconds{box=\"reports\",system=\"postgresql\"} 3\n"), "{text}");
}

#[test]
fn reference_data_that_can_not_be_refreshed_is_1_and_says_since_when() {
    let reference = |table: &str, failing_since: Option<Timestamp>| ReferenceStatus {
        table: table.into(),
        rows: 16,
        generation: 1,
        checked: Timestamp(1_000_000),
        last_error: failing_since.map(|since| (since, "gone".into())),
        failing_since,
    };
    let references = vec![reference("airlines", Some(Timestamp(3_500_000))), reference("airports", None)];
    let text = render(&PipelineStatus { references, ..PipelineStatus::default() });
    for line in [
        "failing{table=\"airlines\"} 1",
        "failing{table=\"airports\"} 0",
        "failing_since_seconds{table=\"airlines\"} 3.5",
        "checked_seconds{table=\"airlines\"} 1",
        "rows{table=\"airports\"} 16",
    ] {
        assert!(text.contains(&format!("millstream_reference_{line}\n")), "{line} is not in\n{text}");
    }
    assert!(!text.contains("millstream_reference_failing_since_seconds{table=\"airports\"}"), "{text}");
}

#[test]
fn the_breaker_has_one_state_at_a_time() {
    let of = |state| {
        let mut text = String::new();
        breaker(&mut text, state);
        let samples = text.lines().filter(|line| line.ends_with(" 1"));
        samples.map(|line| line.trim_start_matches("millstream_http_critical_breaker").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(BreakerState::Closed), [r#"{state="closed"} 1"#]);
    assert_eq!(of(BreakerState::Open(Timestamp(0))), [r#"{state="open"} 1"#]);
    assert_eq!(of(BreakerState::HalfOpen(Timestamp(0))), [r#"{state="half_open"} 1"#]);
}
