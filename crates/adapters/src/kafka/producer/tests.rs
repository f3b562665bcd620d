#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use millstream_core::ErrorKind;

use super::*;

/// A port that nobody listens on: bound, and closed again.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_stays_away_fails_the_flush_and_is_named() {
    let settings =
        ProducerSettings { delivery_timeout: Duration::from_millis(300), linger: Duration::ZERO, ..ProducerSettings::new(nobody()) };
    let producer = KafkaProducer::connect(&settings).unwrap();
    producer.send(OutgoingRecord { topic: "flights", value: Some(b"x"), ..OutgoingRecord::default() }).await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains(&settings.bootstrap_servers) && error.to_string().contains("flights"), "{error}");
    assert_eq!((producer.delivered(), producer.failed(), producer.in_flight()), (0, 1, 0));
    let again = producer.send(OutgoingRecord { topic: "flights", ..OutgoingRecord::default() }).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Unavailable, "nothing is sent after a record was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_makes_send_wait() {
    let settings = ProducerSettings { in_flight_records_max: 10, ..ProducerSettings::new(nobody()) };
    let producer = KafkaProducer::connect(&settings).unwrap();
    let record = OutgoingRecord { topic: "flights", key: Some(b"k"), value: Some(b"x"), ..OutgoingRecord::default() };
    for _ in 0..10 {
        producer.send(record).await.unwrap();
    }
    let mut eleventh = std::pin::pin!(producer.send(record));
    assert!(futures::poll!(&mut eleventh).is_pending(), "the eleventh record waits for room");
    assert_eq!(producer.in_flight(), 10);
}

#[test]
fn room_is_told_at_the_low_water_mark_and_drained_at_zero() {
    let tally = Tally { low_water: 2, ..Tally::default() };
    tally.sent.store(4, Ordering::SeqCst);
    tally.waiting.store(true, Ordering::SeqCst);
    tally.done(Ok(()));
    assert!(tally.waiting.load(Ordering::SeqCst), "3 in flight: no room yet");
    tally.done(Err(("t".into(), KafkaError::Canceled)));
    assert!(!tally.waiting.load(Ordering::SeqCst), "2 in flight: the waiting are told");
    assert_eq!(tally.in_flight(), 2);
    assert_eq!(tally.first_failure.get().unwrap().0, "t");
}
