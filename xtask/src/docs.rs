//! `cargo xtask docs`: the reference pages that the program writes about itself, so that they can't drift from it.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{oracle, run, workspace};

/// The pages of `millstream docs PAGE`.
const PAGES: [&str; 3] = ["cli", "configuration", SQL];

/// The page that goes on with what the differential suite states about Spark.
const SQL: &str = "sql";

/// Writes `docs/reference/PAGE.md`; with `check` it compares only, and fails on a difference.
pub fn run(check: bool) -> Result<()> {
    workspace::build()?;
    let folder = workspace::root().join("docs/reference");
    let mut stale = Vec::new();
    for page in PAGES {
        let mut text = run::captured(Command::new(workspace::program()?).args(["docs", page]))?;
        if page == SQL {
            text.push_str(&oracle::differences()?);
        }
        let file = folder.join(page).with_extension("md");
        if check {
            if std::fs::read_to_string(&file).ok().as_deref() != Some(text.as_str()) {
                stale.push(format!("docs/reference/{page}.md"));
            }
        } else {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))?;
        }
    }
    if !stale.is_empty() {
        bail!("{} is not what the program says; run `cargo xtask docs` and commit", stale.join(", "));
    }
    Ok(())
}
