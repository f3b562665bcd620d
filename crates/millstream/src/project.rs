//! A pipeline on disk: its files, found, read, and checked together with the columns of its reference data.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use millstream_core::{Error, ErrorKind, Result};
use millstream_pipeline::graph::{Binding, Pipeline};
use millstream_pipeline::{Diagnostics, SourceFile, Surroundings, parse};

use crate::config::Config;
use crate::wiring::{self, Engines};

/// The folder of the pipeline at `path`: where its configuration lies. The current one where no pipeline is named.
pub fn folder(path: Option<&Path>) -> PathBuf {
    let folder = path.and_then(|path| if path.is_dir() { Some(path) } else { path.parent() });
    folder.filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// What people call the pipeline at `path`: its folder's name, or its file's where that says more.
pub fn name(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let stem = absolute.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = absolute.parent().and_then(Path::file_name).map(|s| s.to_string_lossy().into_owned());
    if stem == "pipeline" { parent.unwrap_or(stem) } else { stem }
}

/// Reads and checks the pipeline at `path`, a `.sql` file or a folder of them, as `config` binds it. Warnings go to stderr.
/// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) with every error, each with its place and remedy.
/// [`Unavailable`](millstream_core::ErrorKind::Unavailable) when a system that knows the columns of a reference table doesn't answer.
pub async fn load(path: &Path, config: &Config, engines: &Arc<Engines>) -> Result<Pipeline> {
    let files = read(path)?;
    let parsed = parse(&files).map_err(|d| wrong(path, &d))?;
    let named = parsed.files().into_iter().map(|path| (path.clone(), std::fs::read(&path).map_err(|e| e.to_string()))).collect();
    let parsed = parsed.within(Surroundings { files: named, ..config.surroundings() });
    let mut schemas = BTreeMap::<String, Result<SchemaRef, String>>::new();
    for (table, reference, declared) in parsed.references() {
        if declared.is_none() {
            let source = wiring::reference_source(config, &reference, None, engines)?;
            let schema = match source.schema().await {
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error.context(format!("the columns of {table}"))),
                schema => schema.map_err(|e| e.to_string()),
            };
            schemas.insert(table, schema);
        }
    }
    let mut pipeline = parsed.check(&schemas).map_err(|d| wrong(path, &d))?;
    rename_topics(&mut pipeline, config)?;
    wiring::check_tables(config, &pipeline)?;
    pipeline.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(pipeline)
}

/// Gives topics the names that `config` says they have on the broker; refuses a table that the pipeline hasn't.
fn rename_topics(pipeline: &mut Pipeline, config: &Config) -> Result<()> {
    let names: Vec<String> = pipeline.tables.keys().cloned().collect();
    for (name, bound) in &config.tables {
        let Some(table) = pipeline.tables.get_mut(name) else {
            return Err(Error::invalid(format!("[tables.{name}]: the pipeline has no such table; its tables are {}", names.join(", "))));
        };
        match (&mut table.binding, &bound.subscribe) {
            (_, None) => {}
            (Binding::Topic(topic), Some(subscribe)) => topic.name.clone_from(subscribe),
            (_, Some(_)) => return Err(Error::invalid(format!("[tables.{name}]: {name} is no topic, and has nothing to subscribe to"))),
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<SourceFile>> {
    if !path.exists() {
        return Err(Error::not_found(format!("the pipeline {} does not exist", path.display())));
    }
    let paths = if path.is_dir() { sql_files(path)? } else { vec![path.to_owned()] };
    let file = |path: &PathBuf| {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::from(e).context(format!("the pipeline's file {} can't be read", path.display())))?;
        Ok(SourceFile { name: path.display().to_string(), text })
    };
    paths.iter().map(file).collect()
}

/// The `.sql` files of a folder, by name.
fn sql_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::from(e).context(format!("the folder {} can't be listed", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == "sql") && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::not_found(format!("the folder {} holds no .sql file", folder.display())));
    }
    files.sort();
    Ok(files)
}

fn wrong(path: &Path, diagnostics: &Diagnostics) -> Error {
    let text = diagnostics.render(std::io::stderr().is_terminal());
    let count = diagnostics.len();
    Error::invalid(format!("{} has {count} error{}\n{text}", path.display(), if count == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests;
