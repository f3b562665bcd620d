//! Change feeds: replayed from their beginning, they must give the table.

use std::sync::Arc;

use futures::StreamExt as _;
use millstream_core::ports::{FeedPosition, Scan, StoreSnapshot};
use millstream_core::{ChangeKind, ErrorKind, Result, TableSpec};

use super::stateless::{Ledger, apply};
use super::{Check, digest};
use crate::engine::Engine;

/// So many changes are read at a time.
const PAGE: usize = 16_384;

impl Engine {
    /// Checks the feed of a table: what it adds up to is what the table holds.
    pub(super) async fn verify_feed(&self, spec: &Arc<TableSpec>) -> Result<Check> {
        let mut check = Check::of(format!("feed of {}", spec.name));
        let key = spec.key.indices(&spec.schema)?;
        let feed = &self.ports.change_feed;
        // The feed then holds all changes of this snapshot, and perhaps newer ones.
        let before = self.ports.event_store.snapshot().await?;
        let mut ledger = Ledger::new();
        for range in 0..feed.ranges(&spec.name).await? {
            let mut position = FeedPosition::default();
            loop {
                let page = match feed.read(&spec.name, range, &position, PAGE).await {
                    Ok(page) => page,
                    Err(error) if error.kind() == ErrorKind::OutOfRange => {
                        check.note(format!("the feed no longer holds its beginning ({error}), so it was not compared"));
                        return Ok(check);
                    }
                    Err(error) => return Err(error),
                };
                for row in 0..page.changes.len() {
                    let name = match page.changes.kind(row) {
                        ChangeKind::Insert => "inserts",
                        ChangeKind::Update => "updates",
                        ChangeKind::Delete => "deletes",
                    };
                    check.count(name, 1);
                }
                tokio::task::block_in_place(|| apply(&mut ledger, &page.changes, &key))?;
                position = page.next;
                if page.pending == 0 {
                    break;
                }
            }
        }
        let unexplained = self.mark_seen(spec, before.as_ref(), &key, &mut ledger).await?;
        unexplained.into_iter().for_each(|row| check.problem(format!("row {row} is in no change of the feed")));
        if ledger.values().any(|c| !c.seen && !c.deleted) {
            // Changes that came while the feed was read are in a later snapshot.
            let after = self.ports.event_store.snapshot().await?;
            self.mark_seen(spec, after.as_ref(), &key, &mut ledger).await?;
        }
        let now = self.ports.clock.now();
        for change in ledger.values().filter(|c| !c.seen && !c.deleted) {
            if spec.ttl.is_some_and(|ttl| change.version.plus(ttl).0 <= now.0) {
                check.count("expired", 1);
            } else {
                check.problem(format!(
                    "the row of change {} of range {} is not in the table",
                    change.position.offset, change.position.partition
                ));
            }
        }
        Ok(check)
    }

    /// Marks the changes whose rows are in `snapshot`, and returns the rows that are in no change.
    async fn mark_seen(&self, spec: &TableSpec, snapshot: &dyn StoreSnapshot, key: &[usize], ledger: &mut Ledger) -> Result<Vec<String>> {
        let mut unexplained = Vec::new();
        let mut stream = snapshot.scan(&spec.name, &Scan::default()).await?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            for (row, digest) in digest::keys(&batch, key)?.into_iter().enumerate() {
                match ledger.get_mut(&digest) {
                    Some(change) => change.seen = true,
                    None => unexplained.push(digest::describe(&batch, key, row)),
                }
            }
        }
        Ok(unexplained)
    }
}
