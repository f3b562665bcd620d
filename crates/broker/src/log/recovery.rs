//! Opening a partition's folder: rebuilds index and producers from the batch headers, and cuts off a tail that a crash tore.
//!
//! A closed segment was flushed before its successor was begun, so only the last one can be torn. In that one every checksum is
//! computed; the first batch that is not whole ends the log, and what follows is cut off. But if a whole batch comes behind it, this
//! is no torn tail but damage, and nothing is touched.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{IoContext, LogError};
use super::producers::Producers;
use super::segment::{SEGMENT_EXTENSION, SEGMENT_HEADER, SEGMENT_HEADER_LEN, SEGMENT_VERSION, Segment, read_up_to};
use crate::batch::{BatchError, BatchHeader, HEADER_LEN, check_crc};

const READ_AHEAD_BYTES: usize = 1 << 20;

/// A partition as its files have it.
#[derive(Debug)]
pub struct Recovered {
    /// Its segments by offset, at least one; the last one is open for appending.
    pub segments: Vec<Segment>,
    /// Its idempotent producers.
    pub producers: Producers,
    /// The next record's offset.
    pub end: i64,
    /// Bytes of a torn tail that were cut off.
    pub cut_bytes: u64,
}

/// Recovers the partition in `folder`, which may be empty.
pub fn recover(folder: &Path) -> Result<Recovered, LogError> {
    let mut bases = segment_bases(folder)?;
    bases.sort_unstable();
    remove_unused_last(folder, &mut bases)?;
    let mut producers = Producers::default();
    let Some(last) = bases.pop() else {
        return Ok(Recovered { segments: vec![Segment::create(folder, 0)?], producers, end: 0, cut_bytes: 0 });
    };
    let mut segments = Vec::with_capacity(bases.len() + 1);
    let mut end = bases.first().copied().unwrap_or(last);
    for base in bases {
        let (segment, next) = closed_segment(folder, base, end, &mut producers)?;
        segments.push(segment);
        end = next;
    }
    let (segment, end, cut_bytes) = last_segment(folder, last, end, &mut producers)?;
    segments.push(segment);
    Ok(Recovered { segments, producers, end, cut_bytes })
}

fn segment_bases(folder: &Path) -> Result<Vec<i64>, LogError> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(folder).during("list", folder)? {
        let path = entry.during("list", folder)?.path();
        if path.extension().is_none_or(|e| e != SEGMENT_EXTENSION) {
            continue;
        }
        let base = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
        let base = base.ok_or_else(|| damaged_file(&path, "its name is not an offset"))?;
        bases.push(base);
    }
    Ok(bases)
}

/// A last segment that has a predecessor and no batch is one that was just begun, or whose beginning failed: its predecessor goes on.
fn remove_unused_last(folder: &Path, bases: &mut Vec<i64>) -> Result<(), LogError> {
    while bases.len() > 1
        && let Some(last) = bases.last()
    {
        let path = Segment::path_in(folder, *last);
        if fs::metadata(&path).during("look at segment", &path)?.len() > SEGMENT_HEADER_LEN {
            return Ok(());
        }
        fs::remove_file(&path).during("remove empty segment", &path)?;
        bases.pop();
    }
    Ok(())
}

fn damaged_file(path: &Path, why: &str) -> LogError {
    LogError::DamagedFile { path: path.to_owned(), why: why.to_owned() }
}

fn check_base(path: &Path, base: i64, expected: i64) -> Result<(), LogError> {
    if base == expected {
        return Ok(());
    }
    Err(damaged_file(path, &format!("it begins at offset {base}, but the segment before it ends at {expected}")))
}

fn check_segment_header(path: &Path, found: &[u8]) -> Result<(), LogError> {
    if found == SEGMENT_HEADER {
        return Ok(());
    }
    if found[..4] == SEGMENT_HEADER[..4] && found[4] != SEGMENT_VERSION {
        return Err(LogError::Version { path: path.to_owned(), found: found[4], known: SEGMENT_VERSION });
    }
    Err(damaged_file(path, "it doesn't begin as a log segment does"))
}

/// Walks the headers of a closed segment; its batches' checksums are looked at when they are read.
fn closed_segment(folder: &Path, base: i64, expected: i64, producers: &mut Producers) -> Result<(Segment, i64), LogError> {
    let path = Segment::path_in(folder, base);
    check_base(&path, base, expected)?;
    let file = File::open(&path).during("open segment", &path)?;
    let len = file.metadata().during("open segment", &path)?.len();
    let begin = read_up_to(&file, 0, SEGMENT_HEADER.len()).during("read segment", &path)?;
    if begin.len() < SEGMENT_HEADER.len() {
        return Err(damaged_file(&path, "it is empty, but segments follow it"));
    }
    check_segment_header(&path, &begin)?;
    let mut segment = Segment::empty(&path, base, None);
    let mut next = base;
    while segment.file.len < len {
        let head = read_up_to(&file, segment.file.len, HEADER_LEN).during("read segment", &segment.file.path)?;
        let damaged = |source| LogError::Damaged { path: path.clone(), position: segment.file.len, source };
        let header = BatchHeader::parse(&head).map_err(damaged)?;
        if header.base_offset != next || segment.file.len + header.total_len() as u64 > len {
            return Err(damaged(BatchError::Malformed("it doesn't go on where the batch before it ends")));
        }
        segment.note(&header);
        producers.record(&header);
        next = header.next_offset();
    }
    Ok((segment, next))
}

fn last_segment(folder: &Path, base: i64, expected: i64, producers: &mut Producers) -> Result<(Segment, i64, u64), LogError> {
    let path = Segment::path_in(folder, base);
    check_base(&path, base, expected)?;
    let file = OpenOptions::new().read(true).write(true).open(&path).during("open segment", &path)?;
    let file_len = file.metadata().during("open segment", &path)?.len();
    if file_len < SEGMENT_HEADER_LEN {
        return Ok((Segment::create(folder, base)?, base, 0));
    }
    check_segment_header(&path, &read_up_to(&file, 0, SEGMENT_HEADER.len()).during("read segment", &path)?)?;
    let mut segment = Segment::empty(&path, base, None);
    let mut next = base;
    let mut window = Window { file: &file, path: path.clone(), start: SEGMENT_HEADER_LEN, bytes: Vec::new() };
    while segment.file.len < file_len {
        match whole_batch(window.at(segment.file.len, file_len)?, next) {
            Ok(header) => {
                let len = header.total_len();
                let batch = window.exactly(segment.file.len, len, file_len)?;
                match batch.map(|b| check_crc(&header, b)) {
                    Some(Ok(())) => {
                        segment.note(&header);
                        producers.record(&header);
                        next = header.next_offset();
                    }
                    Some(Err(why)) => return cut(segment, &file, file_len, next, &why).map(|(s, cut)| (s, next, cut)),
                    None => {
                        let why = BatchError::Short { have: (file_len - segment.file.len) as usize, need: len };
                        return cut(segment, &file, file_len, next, &why).map(|(s, cut)| (s, next, cut));
                    }
                }
            }
            Err(why) => return cut(segment, &file, file_len, next, &why).map(|(s, cut)| (s, next, cut)),
        }
    }
    segment.file.active = Some(Arc::new(file));
    Ok((segment, next, 0))
}

fn whole_batch(head: &[u8], next: i64) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(head)?;
    if header.base_offset == next { Ok(header) } else { Err(BatchError::Malformed("it doesn't go on where the batch before it ends")) }
}

/// Cuts the torn tail off, unless a whole batch stands behind the damage.
fn cut(mut segment: Segment, file: &File, file_len: u64, next: i64, why: &BatchError) -> Result<(Segment, u64), LogError> {
    let left = usize::try_from(file_len - segment.file.len).unwrap_or(usize::MAX);
    let tail = read_up_to(file, segment.file.len, left).during("read segment", &segment.file.path)?;
    if let Some(at) = whole_batch_behind(&tail, next) {
        let why = format!("{why}; the next whole batch is at byte {}", segment.file.len + at as u64);
        return Err(LogError::DamagedInside { path: segment.file.path.to_path_buf(), position: segment.file.len, why });
    }
    file.set_len(segment.file.len).and_then(|()| file.sync_all()).during("cut the torn tail of", &segment.file.path)?;
    tracing::warn!(segment = %segment.file.path.display(), at = segment.file.len, bytes = tail.len(), %why, "cut off the torn tail of a log segment");
    let path = segment.file.path.clone();
    segment.file.active = Some(Arc::new(OpenOptions::new().read(true).write(true).open(&path).during("open segment", &path)?));
    Ok((segment, tail.len() as u64))
}

/// Where in `tail`, behind its first byte, a whole batch with an offset after `next` stands.
fn whole_batch_behind(tail: &[u8], next: i64) -> Option<usize> {
    (1..tail.len().saturating_sub(HEADER_LEN)).find(|at| {
        let rest = &tail[*at..];
        rest[16] == 2
            && BatchHeader::parse(rest)
                .is_ok_and(|h| h.base_offset > next && rest.get(..h.total_len()).is_some_and(|batch| check_crc(&h, batch).is_ok()))
    })
}

/// A piece of a file in memory, that moves forward.
struct Window<'a> {
    file: &'a File,
    path: PathBuf,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The bytes from `position` on: at least a batch header, if the file has as much.
    fn at(&mut self, position: u64, file_len: u64) -> Result<&[u8], LogError> {
        self.fill(position, HEADER_LEN, file_len)?;
        Ok(&self.bytes[(position - self.start) as usize..])
    }

    /// The `len` bytes at `position`, if the file has as many.
    fn exactly(&mut self, position: u64, len: usize, file_len: u64) -> Result<Option<&[u8]>, LogError> {
        if (len as u64) > file_len - position {
            return Ok(None);
        }
        self.fill(position, len, file_len)?;
        let from = (position - self.start) as usize;
        Ok(self.bytes.get(from..from + len))
    }

    fn fill(&mut self, position: u64, len: usize, file_len: u64) -> Result<(), LogError> {
        let have = (self.start + self.bytes.len() as u64).saturating_sub(position);
        let there = usize::try_from(file_len - position).unwrap_or(usize::MAX);
        if have >= len.min(there) as u64 {
            return Ok(());
        }
        self.bytes = read_up_to(self.file, position, len.max(READ_AHEAD_BYTES).min(there)).during("read segment", &self.path)?;
        self.start = position;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
