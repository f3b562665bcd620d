//! The data lake: where each streaming table `USING parquet` lies. Its own section `[tables.NAME]` says it, else `[lake] location`, else it
//! is in the data directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millstream_adapters::lake::{self, LakeLocation, LakeSettings};
use millstream_core::{Error, Result, TableKind};
use millstream_pipeline::graph::Pipeline;

use super::boxes::probe_with;
use super::health::Probe;
use crate::config::Config;
use crate::data_dir;

/// The streaming tables of files that have a place of their own, and where that is.
pub fn bound(config: &Config, pipeline: &Pipeline) -> Result<BTreeMap<String, String>> {
    let tables = pipeline.tables.iter().filter(|(_, table)| table.spec.kind == TableKind::Lake);
    let bound = tables.filter_map(|(name, _)| Some((name, own_location(config, name)?)));
    bound.map(|(name, location)| Ok((name.clone(), location.map_err(|e| e.context(format!("[tables.{name}] location")))?))).collect()
}

fn own_location(config: &Config, name: &str) -> Option<Result<String>> {
    let location = config.tables.get(name)?.location.as_deref()?;
    Some(absolute(location))
}

/// A URL as it is, a path from the root.
fn absolute(location: &Path) -> Result<String> {
    let text = location.to_string_lossy();
    if text.contains("://") {
        return Ok(text.into_owned());
    }
    Ok(std::path::absolute(location).map_err(Error::from)?.to_string_lossy().into_owned())
}

/// Where all other tables of files lie, each in a folder of its name; `None`: in the data directory.
pub fn root(config: &Config) -> Option<&str> {
    config.lake.as_ref()?.location.as_deref()
}

/// The folder of table `name`, for people.
pub fn place(config: &Config, name: &str) -> String {
    match (own_location(config, name), root(config)) {
        (Some(Ok(location)), _) => location,
        (_, Some(root)) => format!("{}/{name}", root.trim_end_matches('/')),
        (_, None) => data_dir::lake(&config.data_dir).join(name).display().to_string(),
    }
}

/// The locations in `bound`, as the lake takes them.
pub fn locations(bound: &BTreeMap<String, String>) -> Result<BTreeMap<String, LakeLocation>> {
    let parse = |(name, location): (&String, &String)| {
        let location = LakeLocation::parse(location).map_err(|e| e.context(format!("[tables.{name}]")))?;
        Ok((name.clone(), location))
    };
    bound.iter().map(parse).collect()
}

/// Asks whether tables can be written at each of `places`.
pub fn probe(settings: LakeSettings, places: Vec<String>) -> Probe {
    probe_with((settings, places), |asked: Arc<(LakeSettings, Vec<String>)>| async move {
        let (settings, places) = &*asked;
        let mut said = Vec::new();
        for place in places {
            said.push(lake::probe(&LakeSettings { location: Some(place.clone()), ..settings.clone() }).await?);
        }
        Ok(said.join(", "))
    })
}
