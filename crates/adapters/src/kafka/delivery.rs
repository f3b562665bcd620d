//! [`Deliveries`]: what became of the records of one call, counted in librdkafka's delivery callback.

use std::sync::{Mutex, PoisonError};

use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::DeliveryResult;

/// The records of one append, or of one epoch.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    state: Mutex<Delivered>,
}

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivered {
    /// How many were acknowledged.
    pub(super) acknowledged: usize,
    /// The least offset that one got.
    pub(super) first: Option<i64>,
    /// The greatest.
    pub(super) last: Option<i64>,
    /// The first error.
    pub(super) error: Option<KafkaError>,
}

impl Deliveries {
    /// Takes note of one record.
    pub(super) fn note(&self, result: &DeliveryResult<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                let offset = message.offset();
                state.acknowledged += 1;
                state.first = Some(state.first.map_or(offset, |first| first.min(offset)));
                state.last = Some(state.last.map_or(offset, |last| last.max(offset)));
            }
            Err((error, _)) => {
                state.error.get_or_insert_with(|| error.clone());
            }
        }
    }

    /// What is known now.
    pub(super) fn so_far(&self) -> Delivered {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
