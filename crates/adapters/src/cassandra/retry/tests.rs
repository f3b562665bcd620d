#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

fn overloaded(message: &str) -> ExecutionError {
    ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Overloaded, message.to_owned()))
}

fn retries(timeout_ms: u64) -> Retries {
    Retries::new(Some(Preset::CosmosDb), Timestamp(0), Duration::from_millis(timeout_ms))
}

#[test]
fn a_refused_request_waits_as_long_as_the_service_says_and_a_little_more() {
    for chance in 0..100 {
        let error = overloaded("Request rate is large: ActivityID=1, RetryAfterMs=400, Additional details='Error=3200'");
        let pause = retries(90_000).pause_after(&error, Timestamp(0), chance).unwrap();
        assert!((400..=500).contains(&pause.as_millis()), "{pause:?}");
    }
}

#[test]
fn without_a_wait_in_the_message_it_rises_by_a_second_each_time() {
    let mut retries = retries(90_000);
    for second in 1..=5 {
        let pause = retries.pause_after(&overloaded("too many requests"), Timestamp(0), 7).unwrap();
        assert!((second * 1_000..=(second + 1) * 1_000).contains(&pause.as_millis()), "{pause:?}");
    }
    assert_eq!(retries.refused(), 5);
}

#[test]
fn there_is_no_try_after_the_time_is_over() {
    let mut retries = retries(1_000);
    assert!(retries.pause_after(&overloaded("RetryAfterMs=400"), Timestamp(300_000), 0).is_some());
    assert_eq!(retries.pause_after(&overloaded("RetryAfterMs=400"), Timestamp(700_000), 0), None);
    assert_eq!(retries.left(Timestamp(2_000_000)), Duration::ZERO);
}

#[test]
fn other_errors_and_cassandras_own_are_the_answer() {
    let mut cassandra = Retries::new(None, Timestamp(0), Duration::from_secs(10));
    assert_eq!(cassandra.pause_after(&overloaded("RetryAfterMs=1"), Timestamp(0), 0), None);
    let other = ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::IsBootstrapping, "RetryAfterMs=1".to_owned()));
    assert_eq!(retries(1_000).pause_after(&other, Timestamp(0), 0), None);
}

#[test]
fn those_who_were_refused_together_come_again_apart() {
    let pauses: std::collections::BTreeSet<_> = (0..50).map(|chance| part(Duration::from_secs(1), chance)).collect();
    assert!(pauses.len() > 45, "{pauses:?}");
    assert!(pauses.first().unwrap().as_millis() < 200 && pauses.last().unwrap().as_millis() > 800, "{pauses:?}");
}
