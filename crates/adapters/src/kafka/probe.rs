//! [`probe`]: whether a cluster can be reached with these settings, without leaving a trace there.

use std::sync::Arc;

use millstream_core::ports::SystemClock;
use millstream_core::{Error, Result};

use super::client::Cluster;
use super::directory::Directory;
use super::settings::KafkaSettings;

/// Connects, authenticates and lists topics; says in one line what was found. The error says what is wrong, in the words of the cluster
/// where it has some.
pub async fn probe(settings: &KafkaSettings) -> Result<String> {
    let cluster = Cluster::unlogged(settings, Arc::new(SystemClock))?;
    let asked = tokio::task::spawn_blocking(move || {
        let directory = Directory::new(cluster.clone());
        let (brokers, topics) = (directory.brokers()?, directory.topics()?.len());
        let s = &cluster.settings;
        let known_by = s.sasl_mechanism().map_or_else(String::new, |mechanism| format!(" with {}", mechanism.as_str()));
        Ok(format!(
            "Kafka, {brokers} broker{}, {topics} topics, over {}{known_by}; flows write {}, absent topics are {}",
            if brokers == 1 { "" } else { "s" },
            s.security_protocol().as_str().to_uppercase(),
            if s.transactions() { "with transactions" } else { "without transactions" },
            if s.manage_topics() { "created" } else { "an error" },
        ))
    });
    asked.await.map_err(|e| Error::internal("asking a Kafka cluster ended early").caused_by(e))?
}
