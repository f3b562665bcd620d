#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_testkit::ManualClock;

use super::*;

#[tokio::test]
async fn transient_errors_are_waited_out_and_others_are_given_back() {
    let patience = Patience::new("a test", Arc::new(ManualClock::skipping(ManualClock::START)));
    let mut calls = 0;
    let answer = patience.until_answered(|| {
        calls += 1;
        let answer = if calls < 30 { Err(Error::unavailable("away")) } else { Ok(calls) };
        async move { answer }
    });
    assert_eq!(answer.await.unwrap(), 30);
    let refused = patience.until_answered(|| async { Err::<(), _>(Error::invalid("wrong")) }).await;
    assert_eq!(refused.unwrap_err().message(), "wrong");
}

#[test]
fn an_outage_is_told_of_at_its_beginning_and_then_every_ten_seconds() {
    let clock = Arc::new(ManualClock::default());
    let patience = Patience::new("a test", clock.clone());
    let told = |patience: &Patience| patience.outage().told_at.unwrap();
    let begin = clock.now();
    let error = Error::unavailable("away");
    assert_eq!(patience.failed(&error), Some(Duration::from_millis(100)));
    clock.advance(Duration::from_secs(9));
    assert_eq!(patience.failed(&error), Some(Duration::from_millis(200)));
    assert_eq!(told(&patience), begin, "nine seconds later nothing is said");
    clock.advance(Duration::from_secs(1));
    patience.failed(&error);
    assert_eq!(told(&patience), clock.now());
    assert!(patience.answered());
    assert!(!patience.answered(), "an outage ends once");
    assert_eq!(patience.failed(&error), Some(Duration::from_millis(100)), "the next one begins anew");
    assert!(!patience.outage().told, "and is not told of so soon after");
}
