//! The adapter on a real Kafka cluster: that of `cargo xtask services`.

mod log;
mod namespace;
mod topic_sink;

use millstream_adapters::kafka::KafkaSettings;

use super::services::settings;

/// The cluster's plain listener, if there is a cluster.
fn cluster() -> Option<KafkaSettings> {
    settings("kafka", &["kafka"])
}
