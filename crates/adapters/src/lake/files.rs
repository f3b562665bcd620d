//! Which files a path stands for, and the revision that changes when they do.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;

use super::client::LakeClient;
use super::error::LakeError;

/// How a reference table's files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LakeFormat {
    /// Apache Parquet.
    Parquet,
    /// CSV (RFC 4180) with a header line; an empty field is null.
    Csv,
    /// One JSON object a line.
    Json,
}

impl LakeFormat {
    /// The word for it after `USING`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// The data files at `path`: the file itself, or those in the folder, by name. As in Spark, names that begin with `_` or `.` are no data.
pub(super) fn data_files(path: &Path) -> Result<Vec<(PathBuf, Metadata)>, LakeError> {
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => LakeError::Missing(path.to_owned()),
        _ => LakeError::Io(path.to_owned(), error),
    };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_file() {
        refuse_compressed(path)?;
        return Ok(vec![(path.to_owned(), metadata)]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.file_name().is_some_and(|name| is_hidden(name.as_encoded_bytes())) {
            continue;
        }
        let metadata = std::fs::metadata(&file).map_err(|e| LakeError::Io(file.clone(), e))?;
        if metadata.is_dir() {
            return Err(partitioned(path, &file.display().to_string()));
        }
        refuse_compressed(&file)?;
        files.push((file, metadata));
    }
    if files.is_empty() {
        return Err(LakeError::EmptyFolder(path.to_owned()));
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(files)
}

/// The same where `client` is: the object itself, or those in the folder, by name.
pub(super) async fn data_objects(client: &LakeClient) -> Result<Vec<ObjectMeta>, LakeError> {
    let path = &client.location().path;
    if !path.as_ref().is_empty()
        && let Some(file) = client.head(path).await?
    {
        refuse_compressed(Path::new(path.as_ref()))?;
        return Ok(vec![file]);
    }
    let (mut objects, folders) = client.list_folder(path).await?;
    let name = PathBuf::from(client.name(path));
    let shown = |path: &ObjectPath| path.filename().is_none_or(|name| !is_hidden(name.as_bytes()));
    if let Some(folder) = folders.iter().find(|folder| shown(folder)) {
        return Err(partitioned(&name, &client.name(folder)));
    }
    objects.retain(|object| shown(&object.location));
    if objects.is_empty() {
        return Err(LakeError::Missing(name));
    }
    for object in &objects {
        refuse_compressed(Path::new(object.location.as_ref()))?;
    }
    objects.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(objects)
}

/// What Spark takes for no data.
fn is_hidden(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'_' | b'.'))
}

fn partitioned(path: &Path, folder: &str) -> LakeError {
    let what = format!("it has a folder inside ({folder}), and partitioned folders are not supported");
    LakeError::Unsupported { path: path.to_owned(), what }
}

fn refuse_compressed(file: &Path) -> Result<(), LakeError> {
    match file.extension().and_then(|e| e.to_str()) {
        Some(ending @ ("gz" | "bz2" | "zst" | "xz" | "zip" | "lz4")) => Err(LakeError::Unsupported {
            path: file.to_owned(),
            what: format!("compressed files (.{ending}) are not supported: unpack it, or write Parquet"),
        }),
        _ => Ok(()),
    }
}

/// Names, sizes and modification times, and on Unix what tells two files of one name apart whose sizes and times are the same: the clock
/// of a file system ticks every few milliseconds.
pub(super) fn revision(files: &[(PathBuf, Metadata)]) -> String {
    let mut text = String::new();
    for (file, metadata) in files {
        let modified = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Writing to a String can't fail.
        let _ = write!(text, "{name}:{}:{modified}:{};", metadata.len(), identity(metadata));
    }
    text
}

/// Names, sizes, modification times, and what the store itself calls a version of an object.
pub(super) fn object_revision(objects: &[ObjectMeta]) -> String {
    let mut text = String::new();
    for object in objects {
        let tag = object.version.as_deref().or(object.e_tag.as_deref()).unwrap_or_default();
        let modified = object.last_modified.timestamp_micros();
        // Writing to a String can't fail.
        let _ = write!(text, "{}:{}:{modified}:{tag};", object.location, object.size);
    }
    text
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{}.{}.{}", metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> String {
    String::new()
}
