//! The lock of the data directory: one process at a time. It knows the directory, and nothing of what lies in it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use millstream_core::{Error, Result};
use rustix::fs::{FlockOperation, flock};

/// A data directory that this process alone uses. Dropping it, or the death of the process, frees it.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The lock hangs on the open file.
    _file: File,
}

impl DataDir {
    /// Makes the directory where it is absent, and takes it. [`Unavailable`](millstream_core::ErrorKind::Unavailable) names the
    /// process that has it.
    pub fn lock(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match Self::take(path)? {
            Ok(taken) => Ok(taken),
            Err(holder) => Err(Error::unavailable(format!(
                "data directory {} is in use by {holder}; stop it, or choose another directory with --data-dir",
                path.display()
            ))),
        }
    }

    /// The same, but `None` where another process has it.
    pub fn try_lock(path: impl AsRef<Path>) -> Result<Option<Self>> {
        Ok(Self::take(path.as_ref())?.ok())
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The inner error says who has it.
    fn take(path: &Path) -> Result<std::result::Result<Self, String>> {
        let failed = |e: std::io::Error| {
            use std::io::ErrorKind as Io;
            // A file in its place, or no right to write: that does not pass by itself.
            match e.kind() {
                Io::PermissionDenied | Io::ReadOnlyFilesystem | Io::AlreadyExists | Io::NotADirectory => Error::invalid(format!(
                    "data directory {} can't be used ({e}): make it a folder that this process may write, or choose another with --data-dir",
                    path.display()
                )),
                _ => Error::from(e).context(format!("locking data directory {}", path.display())),
            }
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        let options = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock"));
        let mut file = options().map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(e) if e == rustix::io::Errno::WOULDBLOCK => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                let holder = holder.trim();
                let known = !holder.is_empty() && holder.bytes().all(|b| b.is_ascii_digit());
                return Ok(Err(if known { format!("process {holder}") } else { "another process".to_owned() }));
            }
            Err(e) => return Err(failed(e.into())),
        }
        // The number is for people: the lock itself is the open file, so a number left behind by a dead process does no harm.
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Ok(Self { path: path.to_owned(), _file: file }))
    }
}

#[cfg(test)]
mod tests;
