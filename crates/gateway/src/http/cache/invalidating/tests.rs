#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use futures::StreamExt;
use millstream_core::ports::Publication;
use millstream_core::{ErrorKind, Version};

use super::super::super::toys::{World, epoch, rows};
use super::*;

fn text(key: &str) -> Vec<Value> {
    vec![Value::Str(key.into())]
}

#[tokio::test]
async fn a_commit_counts_up_the_partitions_it_touched_and_no_other() {
    let world = World::new();
    let count = |key: &str| world.events.invalidations.generations().read(Slot::of("events", &text(key)));
    world.events.commit(epoch("events", rows(&[("a", 1.0), ("b", 2.0), ("a", 3.0)]), Version(1))).await.unwrap();
    assert_eq!((count("a"), count("b"), count("c")), (1, 1, 0));
}

#[tokio::test]
async fn the_count_rises_after_the_store_committed() {
    // A store that looks at the counter while it commits: it must not have been counted up yet.
    struct Watching(Arc<Invalidations>);
    #[async_trait]
    impl EpochSink for Watching {
        async fn begin(&self, _: &FlowId, _: Attempt, _: &str) -> Result<Epoch> {
            Ok(Epoch(0))
        }
        async fn commit(&self, _: EpochWrite) -> Result<u64> {
            assert_eq!(self.0.generations().read(Slot::of("events", &text("a"))), 0);
            Err(millstream_core::Error::unavailable("committed, but the answer was lost"))
        }
    }
    #[async_trait]
    impl EventStore for Watching {
        async fn ensure_table(&self, _: &TableSpec) -> Result<()> {
            Ok(())
        }
        async fn read_partition(&self, _: &str, _: &PartitionQuery) -> Result<Page> {
            Err(millstream_core::Error::unsupported("a toy"))
        }
        async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
            Err(millstream_core::Error::unsupported("a toy"))
        }
        async fn drop_table(&self, _: &str) -> Result<()> {
            Ok(())
        }
    }
    let (_, parts) = World::parts();
    let store = InvalidatingEventStore::new(Arc::new(Watching(parts.invalidations.clone())), parts.invalidations.clone());
    let error = store.commit(epoch("events", rows(&[("a", 1.0)]), Version(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(parts.invalidations.generations().read(Slot::of("events", &text("a"))), 1, "a failed commit may have committed");
}

#[tokio::test]
async fn a_write_to_an_unknown_table_and_a_dropped_table_count_up_everything() {
    let world = World::new();
    let count = || world.events.invalidations.generations().read(Slot::of("anything", &text("z")));
    world.events.commit(epoch("unheard_of", rows(&[("a", 1.0)]), Version(1))).await.unwrap();
    assert_eq!(count(), 1);
    world.events.drop_table("events").await.unwrap();
    assert_eq!(count(), 2);
    world.critical.evict_all("critical").await.unwrap();
    assert_eq!(count(), 3);
}

#[tokio::test]
async fn a_publication_counts_up_its_report_alone() {
    let world = World::new();
    let count = |report: &str| world.report.invalidations.generations().read(Slot::of(report, &[]));
    let published = rows(&[("a", 1.0)]);
    let stream = futures::stream::iter([Ok(published)]).boxed();
    world.report.publish(Publication { report: "report".into(), run: 1, rows: stream }).await.unwrap();
    assert_eq!((count("report"), count("another")), (1, 0));
}
