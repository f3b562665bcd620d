//! What must not start: a wrong pipeline, a listener that the world can reach, a second process on a data directory.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::process::{Millstream, folder};
use crate::workspace;

/// Tries each.
pub fn run() -> Result<()> {
    let folder = folder("refusals")?;
    for example in ["examples/flights/pipeline.sql", "examples/grid/pipeline.sql"] {
        let output = millstream(&["check", example])?;
        ensure!(output.status.success(), "{example} is refused: {}", String::from_utf8_lossy(&output.stderr));
    }
    a_wrong_pipeline(&folder)?;
    an_open_listener(&folder)?;
    a_second_process(&folder)
}

fn a_wrong_pipeline(folder: &Path) -> Result<()> {
    let file = folder.join("wrong.sql");
    let text = std::fs::read_to_string(workspace::root().join("examples/grid/pipeline.sql"))?;
    std::fs::write(&file, text.replace("FROM STREAM loads", "FROM STREAM lods"))?;
    let output = millstream(&["check", &file.display().to_string()])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "check of a wrong pipeline: {}", output.status);
    ensure!(said.contains("wrong.sql") && said.contains("lods") && said.contains("loads"), "neither place nor remedy: {said}");
    Ok(())
}

fn an_open_listener(folder: &Path) -> Result<()> {
    let config = folder.join("open.toml");
    std::fs::write(&config, "[listen]\nhttp = \"0.0.0.0:0\"\n")?;
    let data = folder.join("open");
    let output = millstream(&[
        "run",
        "examples/grid/pipeline.sql",
        "--config",
        &config.display().to_string(),
        "--data-dir",
        &data.display().to_string(),
    ])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && said.contains("listen"), "a listener on 0.0.0.0: {}\n{said}", output.status);
    Ok(())
}

fn a_second_process(folder: &Path) -> Result<()> {
    let mut first = Millstream::start(folder, &["run", "examples/grid/pipeline.sql"])?;
    first.wait_until_ready(Duration::from_secs(30))?;
    let config = folder.join("second.toml");
    std::fs::write(&config, "[listen]\nhttp = \"127.0.0.1:0\"\nkafka = \"127.0.0.1:0\"\nsql = \"127.0.0.1:0\"\n")?;
    let second = first.command(&["run", "examples/grid/pipeline.sql", "--config", &config.display().to_string()]);
    let said = second.err().map(|error| format!("{error:#}")).context("a second process started on the same data directory")?;
    ensure!(said.contains("data"), "the refusal does not name the data directory: {said}");
    Ok(())
}

/// Runs a command that must end by itself.
fn millstream(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(workspace::program()?);
    command.current_dir(workspace::root()).args(arguments).output().context("can't start millstream")
}
