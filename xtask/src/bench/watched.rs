//! A peer's program while it measures: what it prints, how much memory its processes have, and its end when its time is over. It knows no peer.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::ci::now;
use crate::services::processes::{self, Process};

/// How often its memory is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// What a program printed and took.
pub struct Watched {
    /// Those of its lines that are JSON.
    pub lines: Vec<Value>,
    /// The most resident memory in bytes that it and the processes that it started had, as far as was seen.
    pub peak_bytes: u64,
}

/// Runs `command` for at most `limit`, shows what it prints, and ends it with all its processes after that, which is no error. An exit code other than
/// 0 is one.
pub fn watch(command: &mut Command, limit: Duration) -> Result<Watched> {
    let name = command.get_program().to_string_lossy().into_owned();
    let start = now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("can't start {name}"))?;
    let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
    let process = processes::of_child(&child)?;
    let reader = std::thread::spawn(move || stdout.lines().map_while(Result::ok).inspect(|line| eprintln!("{line}")).collect::<Vec<_>>());
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak_bytes.max(processes::resident_bytes(process));
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > limit {
            end(process);
            child.wait()?;
            break None;
        }
        std::thread::sleep(PERIOD);
    };
    let Ok(printed) = reader.join() else { bail!("reading the output of {name} panicked") };
    if let Some(status) = status.filter(|status| !status.success()) {
        bail!("{name}: {status}");
    }
    let lines = printed.iter().filter(|line| line.starts_with('{'));
    Ok(Watched { lines: lines.map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?, peak_bytes })
}

fn end(process: Process) {
    processes::signal_tree(process, Signal::KILL);
}

#[cfg(test)]
mod tests;
