use super::*;

#[test]
fn doubles_up_to_its_bound() {
    let b = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) };
    let waits: Vec<_> = (1..=6).map(|n| b.delay(n).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
    assert_eq!(b.delay(u32::MAX), Duration::from_secs(1));
}
