//! A segment: one append-only file of record batches, and what is known of it in memory.
//!
//! The file begins with eight bytes (`MSLG`, a version byte, three zeros); then come whole batches, one after the other. Its name
//! is the offset of its first record, in twenty digits.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::error::{IoContext, LogError};
use crate::batch::{BatchError, BatchHeader, HEADER_LEN, check_crc};

/// Version of the segment format.
pub const SEGMENT_VERSION: u8 = 1;
/// Where the first batch begins.
pub const SEGMENT_HEADER_LEN: u64 = 8;
/// How a segment begins.
pub const SEGMENT_HEADER: [u8; SEGMENT_HEADER_LEN as usize] = [b'M', b'S', b'L', b'G', SEGMENT_VERSION, 0, 0, 0];
/// File name extension of a segment.
pub const SEGMENT_EXTENSION: &str = "log";

const INDEX_INTERVAL_BYTES: u64 = 16 << 10;

/// Which byte of a segment to begin at, to find an offset: an entry every 16 KiB, kept in memory, rebuilt from batch headers.
#[derive(Debug, Default)]
pub struct SparseIndex {
    entries: Vec<(i64, u64)>,
}

impl SparseIndex {
    fn note(&mut self, base_offset: i64, position: u64) {
        if self.entries.last().is_none_or(|(_, last)| position - last >= INDEX_INTERVAL_BYTES) {
            self.entries.push((base_offset, position));
        }
    }

    /// The position of a batch that begins at or before `offset`, close to it.
    #[must_use]
    pub fn floor(&self, offset: i64) -> u64 {
        let after = self.entries.partition_point(|(base, _)| *base <= offset);
        after.checked_sub(1).map_or(SEGMENT_HEADER_LEN, |i| self.entries[i].1)
    }
}

/// A segment's file: cheap to clone.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// Its path.
    pub path: Arc<Path>,
    /// The open file, while records are appended to it. Closed segments are opened for each read, so that a long log doesn't hold
    /// thousands of files open.
    pub active: Option<Arc<File>>,
    /// Bytes of it that are whole batches, with the file's header.
    pub len: u64,
}

impl SegmentFile {
    /// The open file.
    pub fn open(&self) -> Result<Arc<File>, LogError> {
        match &self.active {
            Some(file) => Ok(file.clone()),
            None => Ok(Arc::new(File::open(&self.path).during("open segment", &self.path)?)),
        }
    }
}

/// What is known of a segment.
#[derive(Debug)]
pub struct Segment {
    /// Offset of its first record.
    pub base: i64,
    /// Its file.
    pub file: SegmentFile,
    /// Its index.
    pub index: SparseIndex,
    /// The greatest timestamp in it (milliseconds), with the base offset of the batch that has it.
    pub max_timestamp: Option<(i64, i64)>,
}

impl Segment {
    /// The path of the segment that begins at `base`.
    #[must_use]
    pub fn path_in(folder: &Path, base: i64) -> PathBuf {
        folder.join(format!("{base:020}.{SEGMENT_EXTENSION}"))
    }

    /// A segment of which nothing is known yet but its file.
    #[must_use]
    pub fn empty(path: &Path, base: i64, active: Option<Arc<File>>) -> Self {
        let file = SegmentFile { path: path.into(), active, len: SEGMENT_HEADER_LEN };
        Self { base, file, index: SparseIndex::default(), max_timestamp: None }
    }

    /// Creates the file of an empty segment, in the place of an empty or torn one that a crash left there.
    pub fn create(folder: &Path, base: i64) -> Result<Self, LogError> {
        let path = Self::path_in(folder, base);
        let created = (|| {
            let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
            file.write_all_at(&SEGMENT_HEADER, 0)?;
            file.sync_all()?;
            Ok(file)
        })();
        if created.is_err() {
            let _ = fs::remove_file(&path);
        }
        let file = created.during("create segment", &path)?;
        super::sealed::sync_folder_of(&path)?;
        Ok(Self::empty(&path, base, Some(Arc::new(file))))
    }

    /// Takes note of a batch that stands at the segment's end.
    pub fn note(&mut self, batch: &BatchHeader) {
        self.index.note(batch.base_offset, self.file.len);
        self.file.len += batch.total_len() as u64;
        if self.max_timestamp.is_none_or(|(newest, _)| batch.max_timestamp_ms > newest) {
            self.max_timestamp = Some((batch.max_timestamp_ms, batch.base_offset));
        }
    }
}

/// Reads up to `len` bytes at `position`; fewer only at the file's end.
pub fn read_up_to(file: &File, position: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Batches to be read from a segment.
#[derive(Debug)]
pub struct Span {
    /// The file.
    pub file: Arc<File>,
    /// Its path, for messages.
    pub path: Arc<Path>,
    /// Where to begin: at a batch.
    pub position: u64,
    /// Where the whole batches end.
    pub end: u64,
    /// Batches from this offset on are not visible yet.
    pub visible_end: i64,
}

/// Whole batches as they stand in the log, each checked against its checksum.
#[derive(Clone, Debug, Default)]
pub struct Batches {
    /// All of them, one after the other.
    pub bytes: Bytes,
    /// Each one's header.
    pub headers: Vec<BatchHeader>,
}

impl Batches {
    /// The batches with their own bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&BatchHeader, Bytes)> {
        let mut at = 0;
        self.headers.iter().map(move |header| {
            let from = at;
            at += header.total_len();
            (header, self.bytes.slice(from..at))
        })
    }
}

impl Span {
    /// The batches from the one that holds offset `from` on: at least one if a visible one is there, else up to `max_bytes`.
    pub fn read(&self, from: i64, max_bytes: usize) -> Result<Batches, LogError> {
        let mut position = self.position;
        loop {
            let want = max_bytes.saturating_add(INDEX_INTERVAL_BYTES as usize).min(self.left(position));
            let chunk = Bytes::from(read_up_to(&self.file, position, want).during("read segment", &self.path)?);
            let (skipped, first) = self.skip_to(&chunk, position, from)?;
            let start = position + skipped as u64;
            match first {
                None if start >= self.end || skipped == 0 => return Ok(Batches::default()),
                None => position = start,
                Some(header) if header.base_offset >= self.visible_end => return Ok(Batches::default()),
                Some(header) if skipped + header.total_len() > chunk.len() => {
                    let one = read_up_to(&self.file, start, header.total_len()).during("read segment", &self.path)?;
                    return self.take(Bytes::from(one), start, max_bytes);
                }
                Some(_) => return self.take(chunk.slice(skipped..), start, max_bytes),
            }
        }
    }

    fn left(&self, position: u64) -> usize {
        usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX)
    }

    /// How many bytes of `chunk` are batches before offset `from`, and the header that comes then, if it is in the chunk.
    fn skip_to(&self, chunk: &Bytes, position: u64, from: i64) -> Result<(usize, Option<BatchHeader>), LogError> {
        let mut at = 0;
        while chunk.len().saturating_sub(at) >= HEADER_LEN {
            let header = BatchHeader::parse(&chunk[at..]).map_err(|source| self.damaged(position + at as u64, source))?;
            if header.last_offset() >= from {
                return Ok((at, Some(header)));
            }
            at += header.total_len();
        }
        Ok((at, None))
    }

    /// The whole batches at the start of `chunk`, which stands at `position`.
    fn take(&self, chunk: Bytes, position: u64, max_bytes: usize) -> Result<Batches, LogError> {
        let mut headers = Vec::new();
        let mut at = 0;
        while chunk.len() - at >= HEADER_LEN {
            let damaged = |source| self.damaged(position + at as u64, source);
            let header = match BatchHeader::parse(&chunk[at..]) {
                Ok(header) => header,
                Err(source) if headers.is_empty() => return Err(damaged(source)),
                Err(_) => break,
            };
            let end = at + header.total_len();
            let fits = end <= chunk.len() && (headers.is_empty() || end <= max_bytes);
            if !fits || header.base_offset >= self.visible_end {
                break;
            }
            match check_crc(&header, &chunk[at..end]) {
                Ok(()) => headers.push(header),
                Err(source) if headers.is_empty() => return Err(damaged(source)),
                // What is whole is given out; who goes on reading comes to the damage.
                Err(_) => break,
            }
            at = end;
        }
        if headers.is_empty() {
            return Err(self.damaged(position, BatchError::Short { have: chunk.len(), need: HEADER_LEN }));
        }
        Ok(Batches { bytes: chunk.slice(..at), headers })
    }

    fn damaged(&self, position: u64, source: BatchError) -> LogError {
        LogError::Damaged { path: self.path.to_path_buf(), position, source }
    }
}

/// The two operations on a segment's file that appending needs; a trait so that tests can let a disk fill up.
pub trait AppendFile {
    /// Writes all of `bytes` at `position`.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn cut(&self, len: u64) -> io::Result<()>;
}

impl AppendFile for File {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_at(bytes, position)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Writes `bytes` at `position`, the file's end, or leaves the file as it was. The error says whether what was written in part
/// could be taken back; if not, [`AppendFile::cut`] has to succeed before anything else is appended.
pub fn append_whole(file: &impl AppendFile, bytes: &[u8], position: u64) -> Result<(), (io::Error, bool)> {
    file.write_at(bytes, position).map_err(|e| {
        let taken_back = file.cut(position).is_ok();
        (e, taken_back)
    })
}

#[cfg(test)]
mod tests;
