//! What can be asked of an open pipeline: the same whether the asker is in this process or at the control socket's other end.

use millstream_core::ports::JobRunState;
use millstream_core::status::StatusSource;
use millstream_core::{Error, Result};
use millstream_engine::Facts;
use millstream_engine::replay::ReplayOutcome;
use millstream_engine::verify::VerifyProgress;
use serde_json::json;

use crate::cli::VerifyFormat;
use crate::control::{Answer, Request};
use crate::service::Addresses;
use crate::sql;
use crate::wiring::Opened;

/// The exit code of a verification that found problems, and of a job that failed.
const FAILED: u8 = 1;

/// Where a pipeline that runs listens, and what it says of itself.
pub type RunningAt<'a> = (Addresses, &'a dyn StatusSource);

/// Carries out `request` on `opened`, which runs at `running`, or is open for this request alone (`None`).
pub async fn carry_out(opened: &Opened, running: Option<RunningAt<'_>>, request: Request, answer: &Answer) -> Result<u8> {
    match request {
        Request::Sql { query, format } => {
            sql::stream(&opened.engine.session()?, &query, format, answer).await?;
            Ok(0)
        }
        Request::Refresh { name } => refresh(opened, &name, answer).await,
        Request::Verify { format } => verify(opened, format, answer).await,
        Request::ReplayDeadLetters { replay } => replayed(&opened.engine.replay_dead_letters(replay).await?, running, answer).await,
        Request::ReplayLateRows { replay } => replayed(&opened.engine.replay_late_rows(replay).await?, running, answer).await,
        Request::Facts => {
            answer.data(serde_json::to_string(&Facts::of(&opened.ports).await?)?).await?;
            Ok(0)
        }
        Request::Status => status(opened, running, answer).await,
        Request::Evict { name } => evict(opened, &name, answer).await,
        Request::Reset { name } => {
            Err(Error::invalid(format!("{name} can't be reset while its pipeline runs: stop process {} first", std::process::id())))
        }
    }
}

async fn refresh(opened: &Opened, name: &str, answer: &Answer) -> Result<u8> {
    let run = opened.engine.refresh(name).await?;
    let state = run.state.as_str();
    let error = run.error.as_deref().map(|e| format!(": {e}")).unwrap_or_default();
    let (rows, removed) = (counted(run.rows.unwrap_or_default(), "row"), run.removed.unwrap_or_default());
    let text = format!("{} run {}: {state}, {rows}, {removed} removed{error}\n", run.report, run.run);
    answer.data(text).await?;
    Ok(if run.state == JobRunState::Succeeded { 0 } else { FAILED })
}

async fn evict(opened: &Opened, name: &str, answer: &Answer) -> Result<u8> {
    opened.engine.evict(name).await?;
    answer.data(format!("{name} is empty: reads load its rows from the event store\n")).await?;
    Ok(0)
}

async fn verify(opened: &Opened, format: VerifyFormat, answer: &Answer) -> Result<u8> {
    let tell = |p: VerifyProgress| answer.progress(&format!("verify {}", p.subject), p.done as u64, p.total as u64);
    let report = opened.engine.verify(&tell).await?;
    let text = match format {
        VerifyFormat::Table => report.to_string(),
        VerifyFormat::Json => format!("{}\n", serde_json::to_string(&report)?),
    };
    answer.data(text).await?;
    Ok(if report.is_clean() { 0 } else { FAILED })
}

async fn status(opened: &Opened, running: Option<RunningAt<'_>>, answer: &Answer) -> Result<u8> {
    let Some((listen, pipeline)) = running else {
        return Err(Error::unavailable(format!("no pipeline runs on data directory {}", opened.config.data_dir.display())));
    };
    let state = json!({ "pid": std::process::id(), "listen": listen, "pipeline": pipeline.status() });
    answer.data(format!("{}\n", serde_json::to_string_pretty(&state)?)).await?;
    Ok(0)
}

async fn replayed(outcome: &ReplayOutcome, running: Option<RunningAt<'_>>, answer: &Answer) -> Result<u8> {
    let ReplayOutcome { released, published, windows } = outcome;
    let [released, records, windows] =
        [(*released, "set-aside row"), (*published, "record"), (*windows, "window")].map(|(n, what)| counted(n as u64, what));
    answer.data(format!("{released} replayed: {records} published again, {windows} aggregated anew\n")).await?;
    if running.is_none() && *published > 0 {
        answer.note("nothing runs on this data directory: the flows take the records up when the pipeline runs again").await?;
    }
    Ok(0)
}

/// `1 row`, `2 rows`.
fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
