//! What `millstream check --probe` asks of a lake.

use std::sync::Arc;

use bytes::Bytes;
use millstream_core::{Error, Result};

use super::client::LakeClient;
use super::location::LakeLocation;
use super::settings::LakeSettings;

/// The object that a probe puts and removes again.
const PROBE: &str = "_millstream_probe";

/// Whether streaming tables can be written where `settings` says: lists, puts a small object where there is none (once, for a second
/// time has to be refused), reads and removes it. One line that says so, or an error that says what is wrong.
pub async fn probe(settings: &LakeSettings) -> Result<String> {
    settings.validate()?;
    let Some(location) = &settings.location else {
        return Ok("lake: no location is set, streaming tables lie in the data directory".to_owned());
    };
    let client = LakeClient::new(LakeLocation::parse(location)?, Arc::new(settings.clone()));
    client.list_folder(&client.location().path).await?;
    let path = client.location().path.clone().join(PROBE);
    // Left behind by a probe that was interrupted.
    client.delete(vec![path.clone()]).await?;
    let contents = Bytes::from_static(b"put by millstream check --probe, and removed again\n");
    let first = client.create(&path, contents.clone()).await?;
    let second = client.create(&path, Bytes::new()).await?;
    let found = client.get(&path).await?;
    client.delete(vec![path]).await?;
    if !first || found.is_some_and(|there| there != contents) {
        return Err(Error::unavailable(format!("lake {location}: somebody else probes it at the moment, try again")));
    }
    if second {
        return Err(Error::unsupported(format!(
            "lake {location}: the store overwrites an object that it was told only to create, so two writers could not be kept apart: use one that \
             knows If-None-Match"
        )));
    }
    Ok(format!("lake {location}: may list, create, read and delete"))
}

/// Whether reference data at `location` can be listed. One line that says so, or an error that says what is wrong.
pub async fn probe_location(settings: &LakeSettings, location: &str) -> Result<String> {
    settings.validate()?;
    let client = LakeClient::new(LakeLocation::parse(location)?, Arc::new(settings.clone()));
    let objects = super::files::data_objects(&client).await?;
    let bytes: u64 = objects.iter().map(|o| o.size).sum();
    Ok(format!("reference data {location}: {} files, {bytes} bytes", objects.len()))
}
