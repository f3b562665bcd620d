#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;

#[test]
fn a_full_disk_is_exhausted_and_damage_is_corrupt() {
    let full: fjall::Result<()> = Err(fjall::Error::Io(io::ErrorKind::StorageFull.into()));
    let full = full.during("writing an epoch").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Exhausted);
    assert!(full.to_string().starts_with("writing an epoch in the built-in store failed; make room"), "{full}");
    for damage in [fjall::Error::InvalidTrailer, fjall::Error::Unrecoverable, fjall::Error::Io(io::ErrorKind::UnexpectedEof.into())] {
        assert_eq!(kind_of(&damage), ErrorKind::Corrupt);
    }
    assert_eq!(kind_of(&fjall::Error::Poisoned), ErrorKind::Unavailable);
}
