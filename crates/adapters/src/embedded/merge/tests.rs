use super::*;

const NOW: Expiry = Expiry { ttl: Some(100), now: 1_000 };

fn row(version: i64, cells: &[u8]) -> KeyState<'_> {
    KeyState::Row { version: Version(version), cells }
}

#[test]
fn the_greater_version_wins_whatever_the_order_and_of_equal_ones_the_later_write() {
    let v = Version;
    assert_eq!(row(5, b"a").after(v(4), Some(b"b")), None);
    assert_eq!(row(5, b"a").after(v(4), None), None);
    assert_eq!(row(5, b"a").after(v(5), Some(b"b")), Some(row(5, b"b")));
    assert_eq!(row(5, b"a").after(v(5), None), Some(KeyState::Deleted { version: v(5) }));
    assert_eq!(KeyState::Deleted { version: v(5) }.after(v(4), Some(b"b")), None);
    assert_eq!(KeyState::Deleted { version: v(5) }.after(v(6), Some(b"b")), Some(row(6, b"b")));
    assert_eq!(KeyState::Absent.after(v(i64::MIN), None), Some(KeyState::Deleted { version: v(i64::MIN) }));
}

#[test]
fn only_what_a_reader_sees_is_a_change() {
    let gone = KeyState::Deleted { version: Version(999) };
    let change = |before, after| net_change(before, after, NOW);
    assert_eq!(change(KeyState::Absent, row(990, b"a")), Some(ChangeKind::Insert));
    assert_eq!(change(gone, row(999, b"a")), Some(ChangeKind::Insert));
    assert_eq!(change(row(990, b"a"), row(991, b"b")), Some(ChangeKind::Update));
    assert_eq!(change(row(990, b"a"), row(991, b"a")), None, "the same row again");
    assert_eq!(change(row(990, b"a"), gone), Some(ChangeKind::Delete));
    assert_eq!(change(KeyState::Absent, gone), None);
    assert_eq!(change(row(900, b"a"), gone), None, "had expired");
    assert_eq!(change(row(900, b"a"), row(950, b"a")), Some(ChangeKind::Insert), "had expired, and is back");
    assert_eq!(change(KeyState::Absent, row(900, b"a")), None, "came expired");
}

#[test]
fn a_row_expires_at_version_plus_ttl() {
    assert!(!NOW.is_expired(Version(901)));
    assert!(NOW.is_expired(Version(900)));
    assert!(!Expiry { ttl: None, now: i64::MAX }.is_expired(Version(i64::MIN)));
}
