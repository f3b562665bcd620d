//! [`TellingFailures`]: the context of a producer whose owner waits for all of its records at once, and asks what became of one only when
//! that fails. librdkafka then makes no event of a record that was delivered.

use std::sync::OnceLock;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::super::client::Context;

/// The setting that it is made for: any other producer's records would have it believe that nothing failed.
pub(super) const SETTING: (&str, &str) = ("delivery.report.only.error", "true");

/// A client's context that keeps the first failure of a delivery.
pub(super) struct TellingFailures {
    context: Context,
    first: OnceLock<KafkaError>,
}

impl TellingFailures {
    pub(super) fn new(context: Context) -> Self {
        Self { context, first: OnceLock::new() }
    }

    /// Why the first record that was not delivered was not; `None`: as far as is known, all were.
    pub(super) fn first(&self) -> Option<KafkaError> {
        self.first.get().cloned()
    }
}

impl ClientContext for TellingFailures {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl ProducerContext for TellingFailures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        if let Err((error, _)) = result {
            let _ = self.first.set(error.clone());
        }
    }
}
