//! Topics that have got partitions since a flow's checkpoint was written.
//!
//! The flow goes on where it stood and reads the new partitions from their first record, in merged order with the others. As with any partition, the watermark stays
//! where it is until they have brought an event or are idle. Where a flow joins two topics, the partitions of the second one stand behind those of the first: they
//! get other numbers, and so does what its checkpoints say of each.
//!
//! A topic never loses partitions: one that has fewer than a checkpoint knows was made anew, and the flow stops.

use millstream_core::{Error, Result};

use super::runner::FlowRunner;
use crate::source::{SourcePosition, SourceState};

impl FlowRunner {
    /// Where a flow whose checkpoint stands at `known` goes on, in sources whose partitions begin where they do in `present`. Numbers the partitions of the
    /// watermark anew.
    pub(super) fn with_added_partitions(&mut self, known: &SourceState, present: &SourceState) -> Result<SourceState> {
        for (number, topic) in self.spec.topics() {
            let (before, now) = (known.of_source(number).partitions, present.of_source(number).partitions);
            if now.len() < before.len() {
                let (flow, table) = (&self.spec.id, &self.spec.table);
                return Err(Error::invalid(format!(
                    "flow {flow} has come to its place in {} partitions of topic {topic}, which has {} now: it is another topic than the one that was read; run \
                     `millstream reset {table}` to build the table from what this one holds, or put the other one back",
                    before.len(),
                    now.len()
                )));
            }
            for (partition, added) in now.iter().enumerate().skip(before.len()) {
                tracing::info!(flow = %self.spec.id, topic, partition, "the topic has got a partition: the flow reads it from its first record");
                if let SourcePosition::Offset(first) = added.position
                    && first > 0
                {
                    tracing::warn!(
                        flow = %self.spec.id, topic, partition, first,
                        "the first records of a new partition were removed before the flow has read them"
                    );
                }
            }
        }
        let all = known.with_added(present);
        if let Some(watermark) = self.processor.watermark_mut() {
            watermark.renumber(all.partitions.len(), |partition| known.number_in(&all, partition));
        }
        Ok(all)
    }
}
