use super::*;

#[test]
fn the_unit_fits_the_number() {
    let shown = |bytes| Size(bytes).to_string();
    assert_eq!([shown(0), shown(1), shown(1_023)], ["0 bytes", "1 byte", "1023 bytes"]);
    assert_eq!([shown(1 << 10), shown(1_536), shown(100_000)], ["1 KiB", "1.5 KiB", "97.6 KiB"]);
    assert_eq!([shown(64 << 20), shown((64 << 20) - 1), shown(16 << 30)], ["64 MiB", "63.9 MiB", "16 GiB"]);
    assert_eq!(shown(u64::MAX), "16777215.9 TiB");
    assert_eq!(Size::of(4 << 10), Size(4 << 10));
}
