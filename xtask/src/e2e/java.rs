//! Kafka's own Java client against the built-in endpoint: it creates a topic, produces idempotently, consumes in a group.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::process::{Millstream, folder};
use crate::{run, workspace};

const POM: &str = include_str!("java/pom.xml");
const SOURCE: &str = include_str!("java/KafkaClient.java");

/// Fetches the client with Maven, then runs the Java program against the grid example.
pub fn run() -> Result<()> {
    let libraries = libraries()?;
    let folder = folder("java")?;
    let source = folder.join("KafkaClient.java");
    std::fs::write(&source, SOURCE)?;
    let mut millstream = Millstream::start(&folder, &["run", "examples/grid/pipeline.sql"])?;
    millstream.wait_until_ready(Duration::from_secs(30))?;
    let classes = format!("{}/*", libraries.display());
    let said = run::captured(
        Command::new("java").args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &classes]).arg(&source).arg(&millstream.kafka),
    )?;
    eprintln!("{}", said.trim_end());
    ensure!(said.contains("all is well"), "the Java client is not content");
    Ok(())
}

/// The client's jars, fetched once and kept beside what was built.
fn libraries() -> Result<std::path::PathBuf> {
    let folder = workspace::target_dir()?.join("e2e-java");
    let jars = folder.join("libs");
    if !has_jars(&jars) {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("pom.xml"), POM)?;
        let goal = ["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"];
        run::captured(Command::new("mvn").current_dir(&folder).args(goal))?;
    }
    Ok(jars)
}

fn has_jars(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut files| files.any(|file| file.is_ok_and(|f| f.path().extension().is_some_and(|e| e == "jar"))))
}
