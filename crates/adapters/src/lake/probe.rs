//! What `millstream check --probe` asks of a lake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millstream_core::ports::{Clock, SystemClock};
use millstream_core::{Error, Result};
use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;

use super::client::LakeClient;
use super::location::LakeLocation;
use super::settings::LakeSettings;

/// What the objects begin with that probes put and remove again.
const PROBE: &str = "_millstream_probe";

/// A probe's object that is so much older than another's was left behind: no probe takes nearly as long.
const LEFT_BEHIND: Duration = Duration::from_secs(3_600);

/// Whether streaming tables can be written where `settings` says: puts a small object where there is none (once, for a second time has to be
/// refused), lists, reads and removes it. One line that says so, or an error that says what is wrong. Any number may run at once.
pub async fn probe(settings: &LakeSettings) -> Result<String> {
    settings.validate()?;
    let Some(location) = &settings.location else {
        return Ok("lake: no location is set, streaming tables lie in the data directory".to_owned());
    };
    let client = LakeClient::new(LakeLocation::parse(location)?, Arc::new(settings.clone()));
    let path = client.location().path.clone().join(name().as_str());
    let tried = try_object(&client, &path, location).await;
    // Also what a put has left whose answer was lost.
    let removed = client.delete(vec![path.clone()]).await;
    let there = tried?;
    removed?;
    client.delete(left_behind(&there, &path)).await?;
    Ok(format!("lake {location}: may list, create, read and delete"))
}

/// A name that no other probe has, of this process or another, on this machine or another.
fn name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    format!("{PROBE}-{}-{process}-{number}", SystemClock.now().micros())
}

/// Creates the object and reads it. Returns what is in the folder meanwhile.
async fn try_object(client: &LakeClient, path: &ObjectPath, location: &str) -> Result<Vec<ObjectMeta>> {
    let contents = Bytes::from_static(b"put by millstream check --probe, and removed again\n");
    client.create(path, contents.clone()).await?;
    let second = client.create(path, Bytes::new()).await?;
    let (there, _) = client.list_folder(&client.location().path).await?;
    let found = client.get(path).await?;
    if second {
        return Err(Error::unsupported(format!(
            "lake {location}: the store overwrites an object that it was told only to create, so two writers could not be kept apart: use one that \
             knows If-None-Match"
        )));
    }
    if found.is_none_or(|found| found != contents) {
        return Err(Error::unavailable(format!("lake {location}: an object that was just put there can't be read: try again")));
    }
    Ok(there)
}

/// The objects of probes that were interrupted: by the store's own clock, far older than the one at `ours`.
fn left_behind(there: &[ObjectMeta], ours: &ObjectPath) -> Vec<ObjectPath> {
    let Some(now) = there.iter().find(|object| object.location == *ours).map(|object| object.last_modified) else { return Vec::new() };
    let is_old = |object: &&ObjectMeta| (now - object.last_modified).to_std().is_ok_and(|age| age >= LEFT_BEHIND);
    let is_a_probe = |object: &&ObjectMeta| object.location.filename().is_some_and(|name| name.starts_with(PROBE));
    there.iter().filter(is_a_probe).filter(is_old).map(|object| object.location.clone()).collect()
}

/// Whether reference data at `location` can be listed. One line that says so, or an error that says what is wrong.
pub async fn probe_location(settings: &LakeSettings, location: &str) -> Result<String> {
    settings.validate()?;
    let client = LakeClient::new(LakeLocation::parse(location)?, Arc::new(settings.clone()));
    let objects = super::files::data_objects(&client).await?;
    let bytes: u64 = objects.iter().map(|o| o.size).sum();
    Ok(format!("reference data {location}: {} files, {bytes} bytes", objects.len()))
}

#[cfg(test)]
mod tests;
