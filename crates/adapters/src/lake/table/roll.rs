//! Keeping a table in order: staged files are rolled into data files, and what no longer counts is removed.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::time::Duration;

use futures::StreamExt;
use millstream_core::ports::Clock;
use millstream_core::time::micros_of;
use millstream_core::{Attempt, Epoch, Error, Result};
use object_store::path::Path as ObjectPath;

use super::manifest::Staged;
use super::parquet::{self, Encoder};
use super::{Latest, Table};
use crate::lake::settings::LakeSettings;

/// Manifests before the latest that are kept: a reader that has found its number reads it in peace.
const MANIFESTS_KEPT: u64 = 16;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Data files that were made.
    pub rolled_files: u64,
    /// Rows in them.
    pub rolled_rows: u64,
    /// Staged files and manifests that were removed.
    pub removed: u64,
}

impl AddAssign for Maintained {
    fn add_assign(&mut self, other: Self) {
        self.rolled_files += other.rolled_files;
        self.rolled_rows += other.rolled_rows;
        self.removed += other.removed;
    }
}

/// Staged files that no longer count, and since when this process knows it, in microseconds. Held by whoever rolls.
#[derive(Debug, Default)]
pub(super) struct Graveyard(HashMap<ObjectPath, i64>);

impl Table {
    /// Rolls what is due and removes what no longer counts.
    pub async fn maintain(&self, settings: &LakeSettings, clock: &dyn Clock) -> Result<Maintained> {
        let mut done = self.roll(settings, clock).await?;
        let mut graveyard = self.roll.lock().await;
        done.removed = self.clean_up(&mut graveyard, settings, clock).await?;
        Ok(done)
    }

    /// Finishes a roll that somebody began, and makes data files for as long as it is due.
    pub async fn roll(&self, settings: &LakeSettings, clock: &dyn Clock) -> Result<Maintained> {
        let _one_at_a_time = self.roll.lock().await;
        let mut done = Maintained::default();
        loop {
            let rolling = {
                let mut latest = self.latest.lock().await;
                *latest = self.folder.latest(latest.clone()).await?;
                if latest.manifest.rolling.is_empty() {
                    if !latest.manifest.is_due(settings, clock.now().0) {
                        return Ok(done);
                    }
                    let Some(next) = latest.manifest.start_roll(settings.roll_bytes) else { return Ok(done) };
                    if !self.folder.append(&mut latest, next).await? {
                        continue;
                    }
                }
                latest.clone()
            };
            // Commits go on meanwhile.
            let rows = self.make_data_file(&rolling, settings).await?;
            done.rolled_files += 1;
            done.rolled_rows += rows;
            let file = rolling.manifest.rolled.files + 1;
            let mut latest = self.latest.lock().await;
            while let Some(next) = latest.manifest.finish_roll(file) {
                if self.folder.append(&mut latest, next).await? {
                    break;
                }
            }
        }
    }

    /// Writes the data file that is due. Whoever does it again, writes the same rows under the same name.
    async fn make_data_file(&self, rolling: &Latest, settings: &LakeSettings) -> Result<u64> {
        let manifest = &rolling.manifest;
        let expected: u64 = manifest.rolling.iter().map(|s| s.rows).sum();
        let mut encoder = Encoder::new(self.spec.schema.clone())?;
        let fetch = |staged: Staged| async move { self.folder.read_staged(&staged).await };
        let mut files = futures::stream::iter(manifest.rolling.clone().into_iter().map(fetch)).buffered(settings.parallel_requests);
        let mut rows = 0;
        while let Some(file) = files.next().await {
            let (name, bytes) = file?;
            let (back, count) = parquet::append(encoder, name, bytes, self.spec.schema.clone()).await?;
            encoder = back;
            rows += count;
        }
        if rows != expected {
            return Err(Error::corrupt(format!("lake table {} has {rows} staged rows to roll, not {expected}", self.spec.name)));
        }
        let bytes = tokio::task::spawn_blocking(move || encoder.finish())
            .await
            .map_err(|e| Error::internal("a writer of Parquet ended early").caused_by(e))??;
        self.folder.write_data(manifest.rolled.files + 1, bytes).await?;
        Ok(rows)
    }

    /// Removes staged files that can never count any more, once readers that began before have had their time, and old manifests.
    async fn clean_up(&self, graveyard: &mut Graveyard, settings: &LakeSettings, clock: &dyn Clock) -> Result<u64> {
        let latest = {
            let mut latest = self.latest.lock().await;
            *latest = self.folder.latest(latest.clone()).await?;
            latest.clone()
        };
        let manifest = &latest.manifest;
        let now = clock.now().0;
        let grace = micros_of(Duration::from_secs(settings.cleanup_grace_s));
        let mut dead = self.folder.staged_files(manifest.flows.keys()).await?;
        dead.retain(|f| manifest.is_dead(&f.flow, Attempt(f.attempt), Epoch(f.epoch), f.crc32c));
        let since = |path: &ObjectPath| graveyard.0.get(path).copied().unwrap_or(now);
        let known: HashMap<ObjectPath, i64> = dead.iter().map(|f| (f.path.clone(), since(&f.path))).collect();
        graveyard.0 = known;
        let gone: Vec<ObjectPath> = graveyard.0.iter().filter(|(_, since)| now - **since >= grace).map(|(path, _)| path.clone()).collect();
        let old: Vec<u64> = self.folder.manifest_numbers(0).await?.into_iter().filter(|n| n + MANIFESTS_KEPT < latest.number).collect();
        let removed = gone.len() as u64 + old.len() as u64;
        self.folder.delete_manifests(&old).await?;
        self.folder.delete(gone.clone()).await?;
        gone.iter().for_each(|path| {
            graveyard.0.remove(path);
        });
        Ok(removed)
    }
}
