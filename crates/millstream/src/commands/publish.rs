//! `publish-flights`: the demo's publisher as a process of its own, which outlives the death of the pipeline. Begins after what the topic
//! holds.

use std::process::ExitCode;
use std::sync::Arc;

use millstream_adapters::kafka::{KafkaLog, KafkaSettings, KafkaTopics};
use millstream_core::ports::{EventLog, SystemClock};
use millstream_core::{Error, Result, TopicPartition};

use super::present;
use crate::cli::PublishArgs;
use crate::config::{Config, Layers};
use crate::flights::{self, Flights, Sequence, SequenceOptions};
use crate::publisher::Publisher;
use crate::{project, runtime};

/// Publishes, and prints how many records were acknowledged.
pub fn run(args: PublishArgs) -> Result<ExitCode> {
    let (endpoint, topic) = destination(&args)?;
    let published = runtime::block_on(async move {
        let flights = Flights::open_years(flights::data(args.data.as_deref())?, args.years)?;
        let bar = present::bar("publishing {bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left");
        bar.set_length(flights.total().min(args.limit.unwrap_or(u64::MAX)));
        let held = endpoint.held(&topic).await?;
        let options = SequenceOptions { faults: args.faults, without_carrier: args.without_carrier };
        let publisher = endpoint.publisher(&topic, args.rate)?;
        let sequence = Sequence::new(flights, options).after(&held);
        let published = publisher.publish(sequence, args.limit.unwrap_or(u64::MAX), &bar, async || Ok(args.late_events)).await;
        bar.finish_and_clear();
        published
    })?;
    present::stdout(&format!("{}\n", published.records))?;
    Ok(ExitCode::SUCCESS)
}

/// Where flights go.
#[derive(Debug, PartialEq)]
enum Endpoint {
    /// An endpoint that asks for nothing: `host:port`.
    Plain(String),
    /// A cluster as a section `[kafka]` describes it.
    Cluster(Box<KafkaSettings>),
}

/// The endpoint, and the topic there: what the flags say, else the configuration.
fn destination(args: &PublishArgs) -> Result<(Endpoint, String)> {
    let named = |topic: Option<&String>| args.topic.as_ref().or(topic).cloned().unwrap_or_else(|| flights::TOPIC.to_owned());
    if let Some(bootstrap) = &args.bootstrap {
        return Ok((Endpoint::Plain(bootstrap.clone()), named(None)));
    }
    let config = Layers { file: args.config.clone(), beside: Some(project::folder(None)), data_dir: None }.load()?.config;
    let topic = config.tables.get(flights::TOPIC).and_then(|table| table.subscribe.as_ref());
    Ok((endpoint(&config)?, named(topic)))
}

/// Where topics are under `config`.
fn endpoint(config: &Config) -> Result<Endpoint> {
    match &config.kafka {
        Some(cluster) => Ok(Endpoint::Cluster(Box::new(cluster.clone()))),
        None if config.listen.kafka.0.port() == 0 => {
            Err(Error::invalid("the built-in Kafka endpoint takes a free port (listen.kafka): say which it has with --bootstrap"))
        }
        None => Ok(Endpoint::Plain(config.listen.kafka.0.to_string())),
    }
}

impl Endpoint {
    /// How many records each partition of `topic` has had.
    async fn held(&self, topic: &str) -> Result<Vec<u64>> {
        let ends = match self {
            Self::Plain(bootstrap) => KafkaTopics::connect(bootstrap)?.ends(topic).await?,
            Self::Cluster(cluster) => {
                let log = KafkaLog::connect(cluster, Arc::new(SystemClock))?;
                let known = log.topics().await?.into_iter().find(|known| known.name == topic);
                let known = known.ok_or_else(|| {
                    let servers = &cluster.bootstrap_servers;
                    Error::not_found(format!(
                        "{servers} has no topic {topic}: start the pipeline, which makes it, or name another with --topic"
                    ))
                })?;
                let mut ends = Vec::new();
                for partition in 0..known.partitions {
                    ends.push(log.bounds(&TopicPartition::new(topic, partition)).await?.end);
                }
                ends
            }
        };
        Ok(ends.into_iter().map(|end| u64::try_from(end.0).unwrap_or(0)).collect())
    }

    fn publisher(&self, topic: &str, rate: Option<u32>) -> Result<Publisher> {
        match self {
            Self::Plain(bootstrap) => Publisher::connect(bootstrap, topic, rate),
            Self::Cluster(cluster) => Publisher::connect_to(cluster, topic, rate),
        }
    }
}

#[cfg(test)]
mod tests;
