#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::cell::{Cell, RefCell};

use super::*;

/// A file on a disk with room for so many bytes.
struct SmallDisk {
    room: Cell<usize>,
    bytes: RefCell<Vec<u8>>,
    can_cut: Cell<bool>,
}

impl AppendFile for SmallDisk {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut file = self.bytes.borrow_mut();
        assert_eq!(file.len() as u64, position);
        let fits = bytes.len().min(self.room.get());
        file.extend_from_slice(&bytes[..fits]);
        self.room.set(self.room.get() - fits);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        if !self.can_cut.get() {
            return Err(io::ErrorKind::Other.into());
        }
        let cut = self.bytes.borrow().len() - len as usize;
        self.bytes.borrow_mut().truncate(len as usize);
        self.room.set(self.room.get() + cut);
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_nothing_half_appended() {
    let disk = SmallDisk { room: Cell::new(10), bytes: RefCell::default(), can_cut: Cell::new(true) };
    append_whole(&disk, b"123456", 0).unwrap();
    let (error, taken_back) = append_whole(&disk, b"abcdef", 6).unwrap_err();
    assert_eq!((error.kind(), taken_back), (io::ErrorKind::StorageFull, true));
    assert_eq!(*disk.bytes.borrow(), b"123456");
    disk.room.set(20);
    append_whole(&disk, b"abcdef", 6).unwrap();
    assert_eq!(*disk.bytes.borrow(), b"123456abcdef");
}

#[test]
fn a_write_that_can_not_be_taken_back_is_said() {
    let disk = SmallDisk { room: Cell::new(3), bytes: RefCell::default(), can_cut: Cell::new(false) };
    let (_, taken_back) = append_whole(&disk, b"123456", 0).unwrap_err();
    assert!(!taken_back);
}

#[test]
fn the_index_finds_a_place_at_or_before_an_offset() {
    let mut index = SparseIndex::default();
    assert_eq!(index.floor(5), SEGMENT_HEADER_LEN);
    for i in 0..1000_u64 {
        index.note(i as i64 * 10, SEGMENT_HEADER_LEN + i * 1000);
    }
    assert!(index.entries.len() < 70, "it is sparse: {}", index.entries.len());
    for offset in [0, 9, 10, 5005, 9999] {
        let position = index.floor(offset);
        let batch = (position - SEGMENT_HEADER_LEN) / 1000;
        assert!(batch as i64 * 10 <= offset, "never behind it");
        assert!(offset / 10 - (batch as i64) < 18, "and close to it");
    }
}
