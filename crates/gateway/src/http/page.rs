//! The status page: one HTML document without scripts or further files, rendered from the status at the moment.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use millstream_core::status::{EngineStatus, FlowStatus, JobStatus, PipelineStatus, ReferenceStatus};
use millstream_core::{TableKind, TableSpec, Timestamp};

use super::HttpAbout;
use super::openapi::by_key;
use super::read::Gateway;
use super::request::example;

const STYLE: &str = include_str!("page.css");

/// The handler once the pipeline is open.
pub(crate) async fn page(State(gateway): State<Arc<Gateway>>) -> Response {
    respond(&gateway.parts.about, gateway.tables.values().map(AsRef::as_ref))
}

/// The handler before that: no table is known yet.
pub(crate) async fn opening_page(State(about): State<HttpAbout>) -> Response {
    respond(&about, std::iter::empty())
}

fn respond<'a>(about: &HttpAbout, tables: impl Iterator<Item = &'a TableSpec>) -> Response {
    let html = render(&about.pipeline, &about.version, &about.status.status(), tables, about.clock.now());
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")], html).into_response()
}

/// The document.
pub(crate) fn render<'a>(
    pipeline: &str,
    version: &str,
    status: &PipelineStatus,
    tables: impl Iterator<Item = &'a TableSpec>,
    now: Timestamp,
) -> String {
    let mut out = String::with_capacity(16 * 1024);
    // Writing to a String can't fail, so the results of `write!` are dropped in this module.
    _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"refresh\" content=\"3\">\
         <title>{pipeline} · Millstream</title><style>{STYLE}</style></head><body><main>",
        pipeline = escape(pipeline)
    );
    header(&mut out, pipeline, version, status, now);
    flows(&mut out, &status.flows, now);
    jobs(&mut out, &status.jobs, now);
    references(&mut out, &status.references, now);
    engines(&mut out, &status.engines, now);
    list_of_tables(&mut out, tables);
    out.push_str("</main></body></html>\n");
    out
}

fn header(out: &mut String, pipeline: &str, version: &str, status: &PipelineStatus, now: Timestamp) {
    let unready = status.unready();
    let (class, word) = if unready.is_empty() { ("good", "ready") } else { ("warn", "not ready") };
    _ = write!(
        out,
        "<header><div><h1>{}</h1><p class=\"quiet\">Millstream {} · {} UTC</p></div><span class=\"badge {class}\">{word}</span></header>",
        escape(pipeline),
        escape(version),
        date_time(now)
    );
    let told: Vec<String> = unready.into_iter().chain(status.degraded()).collect();
    if !told.is_empty() {
        out.push_str("<ul class=\"notice\" role=\"status\">");
        for reason in &told {
            _ = write!(out, "<li>{}</li>", escape(reason));
        }
        out.push_str("</ul>");
    }
    let total = |f: fn(&FlowStatus) -> u64| status.flows.iter().map(f).sum::<u64>();
    let rate: f64 = status.flows.iter().map(|f| f.rows_per_second).sum();
    out.push_str("<dl class=\"tiles\">");
    for (name, value, class) in [
        ("rows a second", grouped_f(rate), ""),
        ("lag, rows", lag(status.flows.iter().map(|f| f.lag).sum()), ""),
        ("dead letters", grouped(total(|f| f.dead_letters)), if total(|f| f.dead_letters) > 0 { "warn" } else { "" }),
        ("late rows", grouped(total(|f| f.late_rows)), if total(|f| f.late_rows) > 0 { "warn" } else { "" }),
    ] {
        _ = write!(out, "<div class=\"{class}\"><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>");
}

fn flows(out: &mut String, flows: &[FlowStatus], now: Timestamp) {
    out.push_str("<section><h2>Flows</h2>");
    if flows.is_empty() {
        out.push_str("<p class=\"quiet\">This pipeline has no flows.</p></section>");
        return;
    }
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Flow</th><th scope=\"col\">Phase</th><th scope=\"col\" class=\"n\">Rows/s</th>\
         <th scope=\"col\" class=\"n\">Lag</th><th scope=\"col\">Watermark</th><th scope=\"col\" class=\"n\">In</th><th scope=\"col\" class=\"n\">Out</th>\
         <th scope=\"col\" class=\"n\">Dead</th><th scope=\"col\" class=\"n\">Late</th><th scope=\"col\" class=\"n\">Epoch</th></tr></thead><tbody>",
    );
    for flow in flows {
        let phase = flow.phase.as_str();
        let into = if flow.flow == flow.table { String::new() } else { format!(" into {}", escape(&flow.table)) };
        let watermark = flow.watermark.map_or_else(|| "<span class=\"quiet\">none</span>".into(), |w| date_time(Timestamp(w.0)));
        _ = write!(
            out,
            "<tr><th scope=\"row\">{}<small>from {}{into}</small></th><td><span class=\"badge {phase}\">{phase}</span></td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"t\">{watermark}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n{}\">{}</td><td class=\"n{}\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escape(&flow.flow),
            escape(&flow.source),
            grouped_f(flow.rows_per_second),
            lag(flow.lag),
            grouped(flow.rows_in),
            grouped(flow.rows_out),
            alarm(flow.dead_letters),
            grouped(flow.dead_letters),
            alarm(flow.late_rows),
            grouped(flow.late_rows),
            grouped(flow.epoch.0),
        );
        if let Some((at, error)) = &flow.last_error {
            _ = write!(out, "<tr class=\"error\"><td colspan=\"10\"><b>Last error</b>, {}: {}</td></tr>", when(*at, now), escape(error));
        }
    }
    out.push_str("</tbody></table></div></section>");
}

/// Rows that wait. Of several flows nobody knows it until each has said it.
fn lag(rows: Option<u64>) -> String {
    rows.map_or_else(|| "<span class=\"quiet\">unknown</span>".to_owned(), grouped)
}

fn alarm(count: u64) -> &'static str {
    if count > 0 { " alarm" } else { "" }
}

fn jobs(out: &mut String, jobs: &[JobStatus], now: Timestamp) {
    out.push_str("<section><h2>Jobs</h2>");
    if jobs.is_empty() {
        out.push_str("<p class=\"quiet\">This pipeline has no batch jobs.</p></section>");
        return;
    }
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Report</th><th scope=\"col\">State</th><th scope=\"col\">Schedule</th><th scope=\"col\">Next run</th>\
         <th scope=\"col\">Last success</th><th scope=\"col\" class=\"n\">Took</th><th scope=\"col\" class=\"n\">Rows</th></tr></thead><tbody>",
    );
    for job in jobs {
        let (class, state) = match (job.running, &job.last_error, job.last_success) {
            (true, ..) => ("starting", "running now"),
            (false, Some(_), _) => ("failed", "failed"),
            (false, None, Some(_)) => ("running", "succeeded"),
            (false, None, None) => ("stopped", "never ran"),
        };
        let none = || "<span class=\"quiet\">none</span>".to_owned();
        _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{state}</span></td><td>{}</td><td class=\"t\">{}</td><td class=\"t\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escape(&job.report),
            job.schedule.as_deref().map_or_else(none, |s| format!("<code>{}</code>", escape(s))),
            job.next_run.map_or_else(none, |t| when(t, now)),
            job.last_success.map_or_else(none, |t| when(t, now)),
            job.last_duration.map_or_else(String::new, took),
            job.rows.map_or_else(String::new, grouped),
        );
        if let Some((at, error)) = &job.last_error {
            _ = write!(out, "<tr class=\"error\"><td colspan=\"7\"><b>Last error</b>, {}: {}</td></tr>", when(*at, now), escape(error));
        }
    }
    out.push_str("</tbody></table></div></section>");
}

fn references(out: &mut String, references: &[ReferenceStatus], now: Timestamp) {
    if references.is_empty() {
        return;
    }
    out.push_str(
        "<section><h2>Reference data</h2><div class=\"scroll\"><table><thead><tr><th scope=\"col\">Table</th><th scope=\"col\">State</th>\
         <th scope=\"col\">Last read</th><th scope=\"col\" class=\"n\">Rows</th></tr></thead><tbody>",
    );
    for reference in references {
        let (class, state) = match (reference.failing_since, reference.generation) {
            (Some(_), _) => ("failed", "can't be read"),
            (None, 0) => ("waiting", "never published"),
            (None, _) => ("running", "ok"),
        };
        _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{state}</span></td><td class=\"t\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&reference.table),
            when(reference.checked, now),
            grouped(reference.rows),
        );
        if let (Some(since), Some((_, why))) = (reference.failing_since, &reference.last_error) {
            let (since, why) = (when(since, now), escape(why));
            _ = write!(
                out,
                "<tr class=\"error\"><td colspan=\"4\"><b>Can't be read, the old rows are joined</b>, since {since}: {why}</td></tr>"
            );
        }
    }
    out.push_str("</tbody></table></div></section>");
}

fn engines(out: &mut String, engines: &[EngineStatus], now: Timestamp) {
    if engines.is_empty() {
        return;
    }
    out.push_str(
        "<section><h2>Engines</h2><div class=\"scroll\"><table><thead><tr><th scope=\"col\">Box</th><th scope=\"col\">State</th>\
         <th scope=\"col\">System</th><th scope=\"col\">Where</th></tr></thead><tbody>",
    );
    for engine in engines {
        let (class, state) = if engine.away.is_some() { ("failed", "away") } else { ("running", "ok") };
        _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{state}</span></td><td>{}</td><td><code>{}</code></td></tr>",
            escape(&engine.serves),
            escape(&engine.system),
            escape(&engine.place),
        );
        if let Some((since, why)) = &engine.away {
            _ = write!(out, "<tr class=\"error\"><td colspan=\"4\"><b>Away</b>, {}: {}</td></tr>", when(*since, now), escape(why));
        }
    }
    out.push_str("</tbody></table></div></section>");
}

fn list_of_tables<'a>(out: &mut String, tables: impl Iterator<Item = &'a TableSpec>) {
    out.push_str(
        "<section><h2>Tables</h2><div class=\"scroll\"><table><thead><tr><th scope=\"col\">Table</th><th scope=\"col\">Kind</th><th scope=\"col\">Key</th>\
         <th scope=\"col\">Read it at</th></tr></thead><tbody>",
    );
    for table in tables {
        let url = match (by_key(table), table.kind) {
            (false, _) => "<span class=\"quiet\">SQL</span>".into(),
            (true, TableKind::Reference) => {
                let path = escape(&super::request::path(&table.name));
                format!("<a href=\"{path}\"><code>{path}</code></a>")
            }
            (true, _) => format!("<code>{}</code>", escape(&example(table))),
        };
        let key = match (table.key.is_empty(), table.key.clustering.is_empty()) {
            (true, _) => String::new(),
            (false, true) => table.key.partition.join(", "),
            (false, false) => {
                let clustering: Vec<&str> = table.key.clustering.iter().map(|c| c.name.as_str()).collect();
                format!("({}), {}", table.key.partition.join(", "), clustering.join(", "))
            }
        };
        _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{url}</td></tr>",
            escape(&table.name),
            table.kind.as_str(),
            escape(&key)
        );
    }
    out.push_str(
        "</tbody></table></div></section><footer><a href=\"/openapi.json\">OpenAPI</a><a href=\"/v1/tables\">Tables</a><a href=\"/v1/status\">Status</a>\
         <a href=\"/metrics\">Metrics</a><a href=\"/readyz\">Ready</a><a href=\"/healthz\">Alive</a></footer>",
    );
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `1234567` as `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for the eye; the cast saturates")]
fn grouped_f(n: f64) -> String {
    if n > 0.0 && n < 10.0 { format!("{n:.1}") } else { grouped(n.round() as u64) }
}

fn date_time(t: Timestamp) -> String {
    // `2013-12-31T23:59:00Z`, for the eye and to the second.
    let text = t.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(date), Some(time)) => format!("{date} {time}"),
        _ => text,
    }
}

/// A moment with its distance from now.
fn when(t: Timestamp, now: Timestamp) -> String {
    let micros = t.micros().saturating_sub(now.micros());
    let distance = Duration::from_micros(micros.unsigned_abs());
    let near = match (distance.as_secs(), micros >= 0) {
        (0, _) => "now".to_owned(),
        (_, true) => format!("in {}", span(distance)),
        (_, false) => format!("{} ago", span(distance)),
    };
    format!("<time datetime=\"{t}\" title=\"{t}\">{near}</time>")
}

fn span(d: Duration) -> String {
    match d.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

fn took(d: Duration) -> String {
    if d < Duration::from_secs(10) { format!("{} ms", d.as_millis()) } else { span(d) }
}

#[cfg(test)]
mod tests;
