#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn errors_are_classified_by_what_the_caller_has_to_do() {
    let kind = |code| {
        let source = KafkaError::MessageProduction(code);
        Error::from(ClientError::Kafka { operation: "produce".into(), endpoint: "k:9092".into(), source }).kind()
    };
    assert_eq!(kind(RDKafkaErrorCode::UnknownTopicOrPartition), ErrorKind::NotFound);
    assert_eq!(kind(RDKafkaErrorCode::MessageSizeTooLarge), ErrorKind::InvalidInput);
    assert_eq!(kind(RDKafkaErrorCode::BrokerTransportFailure), ErrorKind::Unavailable);
    assert_eq!(kind(RDKafkaErrorCode::MessageTimedOut), ErrorKind::Unavailable);
    assert_eq!(kind(RDKafkaErrorCode::QueueFull), ErrorKind::Exhausted);
}

#[test]
fn a_message_names_the_endpoint_and_the_cause() {
    let source = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
    let error =
        Error::from(ClientError::Undelivered { failed: 2, sent: 10, endpoint: "k:9092".into(), first_topic: "flights".into(), source });
    assert!(
        error.to_string().starts_with("2 of 10 records were not delivered to the Kafka endpoint k:9092, the first to flights: "),
        "{error}"
    );
}
