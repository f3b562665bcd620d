//! `publish-flights`: the demo's publisher as a process of its own, which outlives the death of the pipeline. Begins after what the topic
//! holds.

use std::process::ExitCode;

use millstream_adapters::kafka::KafkaTopics;
use millstream_core::Result;

use super::present;
use crate::cli::PublishArgs;
use crate::flights::{self, Flights, Sequence, SequenceOptions};
use crate::publisher::Publisher;
use crate::runtime;

/// Publishes, and prints how many records were acknowledged.
pub fn run(args: PublishArgs) -> Result<ExitCode> {
    let published = runtime::block_on(async move {
        let flights = Flights::open(flights::data(args.data.as_deref())?)?;
        let bar = present::bar("publishing {bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left");
        bar.set_length(flights.total().min(args.limit.unwrap_or(u64::MAX)));
        let ends = KafkaTopics::connect(&args.bootstrap)?.ends(&args.topic).await?;
        let held: Vec<u64> = ends.iter().map(|end| u64::try_from(end.0).unwrap_or(0)).collect();
        let options = SequenceOptions { faults: args.faults, without_carrier: args.without_carrier };
        let publisher = Publisher::connect(&args.bootstrap, &args.topic, args.rate)?;
        let sequence = Sequence::new(flights, options).after(&held);
        let published = publisher.publish(sequence, args.limit.unwrap_or(u64::MAX), &bar, async || Ok(args.late_events)).await;
        bar.finish_and_clear();
        published
    })?;
    present::stdout(&format!("{}\n", published.records))?;
    Ok(ExitCode::SUCCESS)
}
