#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use super::*;

const SECOND: i64 = 1_000_000;
const POLICY: CachePolicy =
    CachePolicy { age_max: Duration::from_secs(60), negative_age_max: Duration::from_secs(5), stale_max: Duration::from_secs(600) };
const NOW: Timestamp = Timestamp(1_000 * SECOND);

#[test]
fn an_answer_is_fresh_then_stale_then_expired() {
    let life = POLICY.lifetime(NOW, false, None, 0);
    assert_eq!(life.fresh_until, Timestamp(1_060 * SECOND));
    assert_eq!(life.at(Timestamp(1_060 * SECOND - 1)), Freshness::Fresh);
    assert_eq!(life.at(Timestamp(1_060 * SECOND)), Freshness::Stale);
    assert_eq!(life.at(Timestamp(1_660 * SECOND - 1)), Freshness::Stale);
    assert_eq!(life.at(Timestamp(1_660 * SECOND)), Freshness::Expired);
}

#[test]
fn an_answer_without_rows_is_short_lived() {
    assert_eq!(POLICY.lifetime(NOW, true, None, 0).fresh_until, Timestamp(1_005 * SECOND));
}

#[test]
fn a_row_that_expires_ends_freshness_and_usability_alike() {
    let expiry = Timestamp(1_010 * SECOND);
    let life = POLICY.lifetime(NOW, false, Some(expiry), 0);
    assert_eq!((life.fresh_until, life.usable_until), (expiry, expiry));
    assert_eq!(life.at(expiry), Freshness::Expired);
}

#[test]
fn the_jitter_only_ever_shortens_by_less_than_a_tenth() {
    let ends: Vec<i64> =
        (0..1_000_u64).map(|s| POLICY.lifetime(NOW, false, None, s.wrapping_mul(0x9E37_79B9_7F4A_7C15)).fresh_until.0).collect();
    assert!(ends.iter().all(|e| (1_054 * SECOND + 1..=1_060 * SECOND).contains(e)));
    assert!(ends.iter().min() < Some(&(1_055 * SECOND)) && ends.iter().max() > Some(&(1_059 * SECOND)), "it spreads over the tenth");
}

#[test]
fn ttl_and_age_are_whole_seconds() {
    let life = POLICY.lifetime(NOW, false, None, 0);
    let later = Timestamp(1_000 * SECOND + 1_500_000);
    assert_eq!((life.ttl_s(later), life.age_s(later)), (58, 1));
    assert_eq!(life.ttl_s(Timestamp(1_061 * SECOND)), -1);
}
