//! [`SpillStore`] in files of one folder: a folder in it for each flow.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use millstream_core::ports::{SpillFile, SpillStore, SpillWriter};
use millstream_core::{Error, FlowId, Result};

/// Spilled state in local files. They are not synced: nobody reads them after the process has ended.
#[derive(Debug)]
pub struct LocalSpillStore {
    dir: PathBuf,
    next: AtomicU64,
}

impl LocalSpillStore {
    /// In `dir`, which is made when the first file is.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), next: AtomicU64::new(0) }
    }

    /// The same, without what earlier processes left there, of whichever flows.
    pub fn emptied(dir: impl Into<PathBuf>) -> Result<Self> {
        let store = Self::new(dir);
        remove(&store.dir)?;
        Ok(store)
    }

    /// The folder of `flow`: its name, with every byte that is no letter, digit or underscore in hexadecimal.
    fn folder(&self, flow: &FlowId) -> PathBuf {
        let mut name = String::new();
        for byte in flow.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => name.push(char::from(byte)),
                other => name.push_str(&format!("%{other:02x}")),
            }
        }
        self.dir.join(name)
    }
}

impl SpillStore for LocalSpillStore {
    fn clear(&self, flow: &FlowId) -> Result<()> {
        remove(&self.folder(flow))
    }

    fn create(&self, flow: &FlowId) -> Result<Box<dyn SpillWriter>> {
        let folder = self.folder(flow);
        std::fs::create_dir_all(&folder).map_err(|e| failed("making", &folder, e))?;
        let path = folder.join(format!("{:08}.run", self.next.fetch_add(1, Ordering::Relaxed)));
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&path).map_err(|e| failed("making", &path, e))?;
        Ok(Box::new(LocalSpillFile { file, path }))
    }
}

/// One file, while it is written and after that.
#[derive(Debug)]
struct LocalSpillFile {
    file: File,
    path: PathBuf,
}

impl SpillWriter for LocalSpillFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| failed("writing", &self.path, e))
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn SpillFile>> {
        Ok(self)
    }
}

impl SpillFile for LocalSpillFile {
    fn read(&self, offset: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|e| failed("reading", &self.path, e))?;
        Ok(bytes.into())
    }
}

impl Drop for LocalSpillFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            // The next start empties the folder.
            tracing::debug!(path = %self.path.display(), %error, "a file of spilled state stays");
        }
    }
}

/// Removes `folder`, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("emptying", folder, e)),
        _ => Ok(()),
    }
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::from(error).context(format!("{what} {} of spilled state", path.display()))
}
