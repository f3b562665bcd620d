#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use millstream_core::status::{FlowPhase, GrownTopic, ReferenceStatus};
use millstream_core::{Attempt, Epoch, EventTime};

use super::super::toys::spec;
use super::*;

const NOW: Timestamp = Timestamp(1_704_067_200_000_000);

fn reference(table: &str, failing_since: Option<Timestamp>) -> ReferenceStatus {
    ReferenceStatus {
        table: table.into(),
        rows: 1_458,
        generation: 2,
        checked: NOW.minus(Duration::from_secs(460)),
        last_error: failing_since.map(|_| (NOW, "no <file>".into())),
        failing_since,
    }
}

/// A pipeline with a flow in every state worth seeing.
fn status() -> PipelineStatus {
    let flow = |name: &str, source: &str, phase, lag| FlowStatus {
        flow: name.into(),
        table: name.into(),
        source: source.into(),
        phase,
        attempt: Attempt(1),
        epoch: Epoch(1_204),
        rows_in: 336_776,
        rows_out: 336_776,
        rows_per_second: 48_211.4,
        lag: Some(lag),
        watermark: None,
        dead_letters: 0,
        late_rows: 0,
        fell_back_to: None,
        last_error: None,
    };
    let job = JobStatus {
        report: "carrier_daily".into(),
        schedule: Some("*/5 * * * *".into()),
        next_run: Some(NOW.plus(Duration::from_secs(150))),
        running: false,
        last_success: Some(NOW.minus(Duration::from_secs(12))),
        last_duration: Some(Duration::from_millis(431)),
        rows: Some(5_432),
        last_error: None,
    };
    PipelineStatus {
        flows: vec![
            flow("departures", "flights", FlowPhase::Running, 0),
            FlowStatus {
                watermark: Some(EventTime(1_388_534_340_000_000)),
                late_rows: 17,
                ..flow("hourly_delays", "flights", FlowPhase::Running, 12_345)
            },
            FlowStatus {
                last_error: Some((NOW.minus(Duration::from_secs(3)), "writing critical_delays to redis: connection <refused>".into())),
                dead_letters: 3,
                ..flow("critical_delays", "departures", FlowPhase::Waiting, 9_888)
            },
            flow("mirror", "flights", FlowPhase::Failed, 0),
        ],
        jobs: vec![
            job.clone(),
            JobStatus {
                report: "airport_daily".into(),
                schedule: None,
                next_run: None,
                last_error: Some((NOW, "two rows with the key (EWR)".into())),
                ..job
            },
        ],
        grown_topics: vec![GrownTopic { topic: "flights".into(), partitions: 4, read: 2 }],
        intake_paused: Some("the disk is full".into()),
        opening: None,
        references: vec![
            reference("airlines", Some(NOW.minus(Duration::from_secs(400)))),
            reference("airports", None),
            ReferenceStatus { generation: 0, ..reference("usual", None) },
        ],
        engines: vec![
            EngineStatus { serves: "topics".into(), system: "built in".into(), place: "127.0.0.1:9092".into(), away: None },
            EngineStatus {
                serves: "critical events".into(),
                system: "redis".into(),
                place: "cache:6379".into(),
                away: Some((NOW.minus(Duration::from_secs(3)), "connection <refused>".into())),
            },
        ],
    }
}

#[test]
fn each_engine_has_its_state_and_one_that_is_away_says_why() {
    let html = page();
    assert!(html.contains("<span class=\"badge running\">ok</span></td><td>built in</td><td><code>127.0.0.1:9092</code>"), "{html}");
    assert!(html.contains("<span class=\"badge failed\">away</span></td><td>redis</td><td><code>cache:6379</code>"), "{html}");
    assert!(html.contains("connection &lt;refused&gt;"), "{html}");
}

#[test]
fn reference_data_that_can_not_be_read_is_in_the_notice_and_says_since_when_and_why() {
    let html = page();
    let row = |table, class, state| format!("<th scope=\"row\">{table}</th><td><span class=\"badge {class}\">{state}</span></td>");
    for row in [row("airlines", "failed", "can't be read"), row("airports", "running", "ok"), row("usual", "waiting", "never published")] {
        assert!(html.contains(&row), "{row} is not in {html}");
    }
    assert!(html.contains("<li>airlines can&#39;t be refreshed since 2023-12-31T23:53:20Z and is joined as it was at "), "{html}");
    assert!(html.contains(">6 min ago</time>: no &lt;file&gt;</td>"), "{html}");
    assert!(html.contains("<li>topic flights has 4 partitions, and flows read 2 of them: "), "{html}");
}

#[test]
fn a_pipeline_that_is_ready_tells_of_old_reference_data_all_the_same() {
    let html = page_of(&PipelineStatus { references: vec![reference("airlines", Some(NOW))], ..PipelineStatus::default() });
    assert!(html.contains("<span class=\"badge good\">ready</span>") && html.contains("<li>airlines can&#39;t be refreshed"), "{html}");
}

fn page() -> String {
    page_of(&status())
}

fn page_of(status: &PipelineStatus) -> String {
    let tables = [
        spec(TableKind::Topic, "flights", None),
        spec(TableKind::EventStore, "departures", None),
        spec(TableKind::Critical, "critical_delays", None),
        spec(TableKind::Reference, "airlines", None),
        spec(TableKind::Report, "carrier_daily", None),
    ];
    render("flights", "0.1.0", status, tables.iter(), NOW)
}

#[test]
fn every_flow_and_job_is_shown_with_what_it_does() {
    let page = page();
    for shown in [
        "departures",
        "hourly_delays",
        "<span class=\"badge waiting\">waiting</span>",
        "12,345",
        "48,211",
        "2013-12-31 23:59:00",
        "3 s ago",
        "carrier_daily",
        "in 2 min",
        "431 ms",
        "5,432",
        "not ready",
        "intake is paused: the disk is full",
        "two rows with the key (EWR)",
    ] {
        assert!(page.contains(shown), "{shown} is missing");
    }
    // For eyes: MILLSTREAM_PAGE=/tmp/page.html writes the page to be looked at in a browser.
    if let Some(path) = std::env::var_os("MILLSTREAM_PAGE") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn a_lag_that_is_not_known_yet_is_said_to_be_unknown() {
    let unknown = "<span class=\"quiet\">unknown</span>";
    let mut status = status();
    let all = format!("<dt>lag, rows</dt><dd>{}</dd>", grouped(12_345 + 9_888));
    assert!(page_of(&status).contains(&all) && !page_of(&status).contains(unknown));
    status.flows[0].lag = None;
    let page = page_of(&status);
    assert!(
        page.contains(&format!("<dt>lag, rows</dt><dd>{unknown}</dd>")) && page.contains(&format!("<td class=\"n\">{unknown}</td>")),
        "{page}"
    );
    assert!(page.contains("12,345"), "of the others it is known");
}

#[test]
fn what_a_pipeline_says_is_escaped() {
    let page = page();
    assert!(page.contains("connection &lt;refused&gt;") && !page.contains("<refused>"));
}

#[test]
fn the_page_needs_no_script_and_no_other_file() {
    let page = page();
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("<img"));
}

#[test]
fn numbers_and_spans_are_written_for_the_eye() {
    assert_eq!([grouped(0), grouped(999), grouped(1_000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
    assert_eq!([grouped_f(0.0), grouped_f(0.25), grouped_f(1_234.6)], ["0", "0.2", "1,235"]);
    let spans = [5, 90, 7_200, 200_000].map(|s| span(Duration::from_secs(s)));
    assert_eq!(spans, ["5 s", "1 min", "2 h", "2 days"]);
}
