//! `/metrics`: the process's metrics, and gauges of every flow and job computed from their status at the scrape
//! (Prometheus text exposition format 0.0.4).

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use millstream_core::status::{EngineStatus, FlowPhase, FlowStatus, JobStatus, PipelineStatus, ReferenceStatus};

use super::HttpAbout;
use super::cache::breaker::BreakerState;
use super::cache::critical::CriticalReads;

const PHASES: [FlowPhase; 5] = [FlowPhase::Starting, FlowPhase::Running, FlowPhase::Waiting, FlowPhase::Failed, FlowPhase::Stopped];

/// The handler.
pub(crate) async fn metrics(State(about): State<HttpAbout>, State(critical): State<Option<Arc<CriticalReads>>>) -> Response {
    about.metrics.run_upkeep();
    let mut text = about.metrics.render();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let (pipeline, version) = (escape(&about.pipeline), escape(&about.version));
    text.push_str("# HELP millstream_info The running pipeline and version.\n# TYPE millstream_info gauge\n");
    text.push_str(&format!("millstream_info{{pipeline=\"{pipeline}\",version=\"{version}\"}} 1\n"));
    text.push_str(&render(&about.status.status()));
    if let Some(critical) = critical {
        breaker(&mut text, critical.state());
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The gauges of `status`.
pub(crate) fn render(status: &PipelineStatus) -> String {
    let mut out = String::new();
    flows(&mut out, &status.flows);
    jobs(&mut out, &status.jobs);
    references(&mut out, &status.references);
    engines(&mut out, &status.engines);
    family(&mut out, "millstream_opening", "gauge", "Whether the pipeline waits for something at its start.");
    line(&mut out, "millstream_opening", "", u64::from(status.opening.is_some()));
    family(&mut out, "millstream_intake_paused", "gauge", "Whether intake is paused, because of a full disk.");
    line(&mut out, "millstream_intake_paused", "", u64::from(status.intake_paused.is_some()));
    out
}

fn flows(out: &mut String, flows: &[FlowStatus]) {
    let labels: Vec<String> = flows
        .iter()
        .map(|f| format!("flow=\"{}\",table=\"{}\",source=\"{}\"", escape(&f.flow), escape(&f.table), escape(&f.source)))
        .collect();
    let mut each = |name: &str, kind: &str, help: &str, value: &dyn Fn(&FlowStatus) -> Option<f64>| {
        family(out, name, kind, help);
        for (flow, labels) in flows.iter().zip(&labels) {
            if let Some(value) = value(flow) {
                line(out, name, labels, value);
            }
        }
    };
    let seconds = |micros: i64| micros as f64 / 1e6;
    each("millstream_flow_rows_per_second", "gauge", "Source rows a second over the last seconds.", &|f| Some(f.rows_per_second));
    each("millstream_flow_lag_rows", "gauge", "Source rows that wait; absent until the flow has read since it began.", &|f| {
        f.lag.map(|lag| lag as f64)
    });
    each("millstream_flow_watermark_seconds", "gauge", "The watermark, in seconds since 1970.", &|f| f.watermark.map(|w| seconds(w.0)));
    each("millstream_flow_rows_in_total", "counter", "Source rows processed since the process started.", &|f| Some(f.rows_in as f64));
    each("millstream_flow_rows_out_total", "counter", "Rows written since the process started.", &|f| Some(f.rows_out as f64));
    each("millstream_flow_dead_letters_total", "counter", "Rows sent to system.dead_letters since the process started.", &|f| {
        Some(f.dead_letters as f64)
    });
    each("millstream_flow_late_rows_total", "counter", "Rows sent to system.late_rows since the process started.", &|f| {
        Some(f.late_rows as f64)
    });
    each("millstream_flow_epoch", "gauge", "The last committed epoch.", &|f| Some(f.epoch.0 as f64));
    each("millstream_flow_attempt", "gauge", "How often the flow was started.", &|f| Some(f.attempt.0 as f64));
    each("millstream_flow_fell_back_to_epoch", "gauge", "The checkpoint it went on from when newer ones could not be read.", &|f| {
        f.fell_back_to.map(|e| e.0 as f64)
    });
    each("millstream_flow_last_error_seconds", "gauge", "When the last error happened, in seconds since 1970.", &|f| {
        f.last_error.as_ref().map(|(at, _)| seconds(at.0))
    });
    family(out, "millstream_flow_phase", "gauge", "1 for the phase that the flow is in.");
    for (flow, labels) in flows.iter().zip(&labels) {
        for phase in PHASES {
            line(out, "millstream_flow_phase", &format!("{labels},phase=\"{}\"", phase.as_str()), u64::from(flow.phase == phase));
        }
    }
}

fn jobs(out: &mut String, jobs: &[JobStatus]) {
    let mut each = |name: &str, help: &str, value: &dyn Fn(&JobStatus) -> Option<f64>| {
        family(out, name, "gauge", help);
        for job in jobs {
            if let Some(value) = value(job) {
                line(out, name, &format!("report=\"{}\"", escape(&job.report)), value);
            }
        }
    };
    let seconds = |micros: i64| micros as f64 / 1e6;
    let flag = |on: bool| Some(f64::from(u8::from(on)));
    each("millstream_job_running", "Whether the job runs now.", &|j| flag(j.running));
    each("millstream_job_failing", "Whether the last run failed.", &|j| flag(j.last_error.is_some()));
    each("millstream_job_next_run_seconds", "When the job runs next, in seconds since 1970.", &|j| j.next_run.map(|t| seconds(t.0)));
    each("millstream_job_last_success_seconds", "When the last successful run ended, in seconds since 1970.", &|j| {
        j.last_success.map(|t| seconds(t.0))
    });
    each("millstream_job_last_duration_seconds", "How long the last successful run took.", &|j| j.last_duration.map(|d| d.as_secs_f64()));
    each("millstream_job_report_rows", "Rows of the published report.", &|j| j.rows.map(|r| r as f64));
}

fn references(out: &mut String, references: &[ReferenceStatus]) {
    let mut each = |name: &str, help: &str, value: &dyn Fn(&ReferenceStatus) -> Option<f64>| {
        family(out, name, "gauge", help);
        for reference in references {
            if let Some(value) = value(reference) {
                line(out, name, &format!("table=\"{}\"", escape(&reference.table)), value);
            }
        }
    };
    let seconds = |micros: i64| micros as f64 / 1e6;
    each("millstream_reference_failing", "Whether reference data can't be refreshed: its old rows are joined.", &|r| {
        Some(f64::from(u8::from(r.failing_since.is_some())))
    });
    each("millstream_reference_failing_since_seconds", "Since when it can't be refreshed, in seconds since 1970.", &|r| {
        r.failing_since.map(|t| seconds(t.0))
    });
    each("millstream_reference_checked_seconds", "When it was last looked at with success, in seconds since 1970.", &|r| {
        Some(seconds(r.checked.0))
    });
    each("millstream_reference_rows", "Rows of reference data in memory.", &|r| Some(r.rows as f64));
}

fn engines(out: &mut String, engines: &[EngineStatus]) {
    family(out, "millstream_engine_up", "gauge", "Whether the system behind a box answers.");
    for engine in engines {
        let labels = format!("box=\"{}\",system=\"{}\"", escape(&engine.serves), escape(&engine.system));
        line(out, "millstream_engine_up", &labels, u64::from(engine.away.is_none()));
    }
    family(out, "millstream_engine_away_since_seconds", "gauge", "Since when a system doesn't answer, in seconds since 1970.");
    for engine in engines {
        if let Some((since, _)) = &engine.away {
            let labels = format!("box=\"{}\",system=\"{}\"", escape(&engine.serves), escape(&engine.system));
            line(out, "millstream_engine_away_since_seconds", &labels, since.0 as f64 / 1e6);
        }
    }
}

fn breaker(out: &mut String, state: BreakerState) {
    let name = "millstream_http_critical_breaker";
    family(out, name, "gauge", "1 for the state of the circuit breaker before the store of critical events.");
    let is_open = matches!(state, BreakerState::Open(_));
    let is_half_open = matches!(state, BreakerState::HalfOpen(_));
    for (state, on) in [("closed", state == BreakerState::Closed), ("open", is_open), ("half_open", is_half_open)] {
        line(out, name, &format!("state=\"{state}\""), u64::from(on));
    }
}

// Writing to a String can't fail, so the results below are dropped.

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    _ = if labels.is_empty() { writeln!(out, "{name} {value}") } else { writeln!(out, "{name}{{{labels}}} {value}") };
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
