//! The events that queries read: `events/*.jsonl`, one JSON object a line, made by seeded generators and committed, so that Spark and
//! the suite read the same bytes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{flights, lateness, nexmark};

/// Writes the files of events; with `check` compares them with what the generators make.
pub(super) fn settle(folder: &Path, check: bool) -> Result<()> {
    let [persons, auctions, bids] = nexmark::events();
    let files = [
        ("person", persons),
        ("auction", auctions),
        ("bid", bids),
        ("flights", flights::events()),
        ("kinds", flights::kinds()),
        ("measures", lateness::measures()),
    ];
    for (name, lines) in files {
        let path = folder.join(name).with_extension("jsonl");
        let text = lines.join("\n") + "\n";
        if !check {
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).with_context(|| format!("can't write {}", path.display()))?;
        } else if fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
            bail!("{} is not what its generator makes; run `cargo xtask oracle`", path.display());
        }
    }
    Ok(())
}

/// Milliseconds since 2024-02-28T23:00:00Z as a time of JSON: a leap day begins an hour later.
pub(super) fn time(ms: u64) -> String {
    let (seconds, fraction) = (ms / 1_000, ms % 1_000);
    let (hours, minute, second) = (23 + seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let (days, hour) = (hours / 24, hours % 24);
    let (month, day) = if days < 2 { (2, 28 + days) } else { (3, days - 1) };
    format!("2024-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}
