//! `init`: a first pipeline to edit.

use std::fs::OpenOptions;
use std::io::{ErrorKind as Io, Write};
use std::path::Path;
use std::process::ExitCode;

use millstream_core::{Error, Result};

/// What is written, by name.
const FILES: [(&str, &str); 2] = [("pipeline.sql", include_str!("init/pipeline.sql")), ("README.md", include_str!("init/README.md"))];

/// Writes the files to `dir`. Overwrites nothing: where one of them is, none is written.
pub fn run(dir: &Path) -> Result<ExitCode> {
    if let Some((name, _)) = FILES.iter().find(|(name, _)| dir.join(name).exists()) {
        return Err(refusal(&dir.join(name)));
    }
    std::fs::create_dir_all(dir).map_err(|e| Error::from(e).context(format!("the folder {} can't be made", dir.display())))?;
    for (name, text) in FILES {
        let path = dir.join(name);
        let written = OpenOptions::new().write(true).create_new(true).open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|e| match e.kind() {
            Io::AlreadyExists => refusal(&path),
            _ => Error::from(e).context(format!("{} can't be written", path.display())),
        })?;
        eprintln!("wrote {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn refusal(path: &Path) -> Error {
    Error::already_exists(format!("{} is there already, and init overwrites nothing: choose another folder", path.display()))
}
