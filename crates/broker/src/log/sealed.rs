//! Small files that are written whole: a version byte, the CRC-32C of the rest (big endian), then JSON. A reader sees the old
//! file or the new one, never half of it. Knows nothing of what it stores.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{IoContext, LogError};

const PREFIX_LEN: usize = 5;

/// Stores `value` at `path` under `version`: written beside it, flushed, renamed, and the folder flushed.
pub fn write(path: &Path, version: u8, value: &impl Serialize) -> Result<(), LogError> {
    let json = serde_json::to_vec(value).map_err(|e| LogError::io("write", path, io::Error::other(e)))?;
    let mut bytes = Vec::with_capacity(PREFIX_LEN + json.len());
    bytes.push(version);
    bytes.extend_from_slice(&crc32c::crc32c(&json).to_be_bytes());
    bytes.extend_from_slice(&json);
    replace(path, &bytes)
}

/// Puts `bytes` in the place of whatever is at `path`, wholly or not at all.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let beside = path.with_extension("tmp");
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.during("write", path)?;
    sync_folder_of(path)
}

/// Makes a new, renamed or removed entry at `path` survive a power loss.
pub fn sync_folder_of(path: &Path) -> Result<(), LogError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).during("flush the folder", folder)
}

/// What is stored at `path`; `None` when there is no file. A wrong version or checksum is an error.
pub fn read<T: DeserializeOwned>(path: &Path, version: u8) -> Result<Option<T>, LogError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(LogError::io("read", path, e)),
    };
    let damaged = |why: String| LogError::DamagedFile { path: path.to_owned(), why };
    let (Some(found), Some(json)) = (bytes.first_chunk::<PREFIX_LEN>(), bytes.get(PREFIX_LEN..)) else {
        return Err(damaged(format!("it has only {} bytes", bytes.len())));
    };
    if found[0] != version {
        return Err(LogError::Version { path: path.to_owned(), found: found[0], known: version });
    }
    if crc32c::crc32c(json).to_be_bytes() != found[1..] {
        return Err(damaged("its checksum is wrong".to_owned()));
    }
    serde_json::from_slice(json).map(Some).map_err(|e| damaged(e.to_string()))
}
