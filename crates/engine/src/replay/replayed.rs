//! Which dead letters of a flow were replayed: remembered, so that a verification knows where their events are.

use std::collections::BTreeSet;

use millstream_core::ports::{DeadLetter, SystemProperty};
use millstream_core::{FlowId, Result, RowPosition};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// Where a dead letter was that was replayed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    partition: i32,
    offset: i64,
    /// Its source; `None`: written when sources were not told apart, so that it may be any.
    #[serde(default)]
    source: Option<String>,
}

/// The dead letters of a flow that were replayed: a system property, as a JSON array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Replayed(BTreeSet<Place>);

impl Replayed {
    fn add(&mut self, source: &str, position: RowPosition) {
        self.0.insert(Place { partition: position.partition, offset: position.offset, source: Some(source.to_owned()) });
    }

    /// Whether the dead letter of this place was.
    pub(crate) fn has(&self, source: &str, position: RowPosition) -> bool {
        let mut place = Place { partition: position.partition, offset: position.offset, source: None };
        self.0.contains(&place) || {
            place.source = Some(source.to_owned());
            self.0.contains(&place)
        }
    }
}

impl Engine {
    /// Remembers that `letter` was replayed.
    pub(super) async fn remember_replayed(&self, letter: &DeadLetter) -> Result<()> {
        let mut all = self.replayed(&letter.flow).await?;
        all.add(&letter.source, letter.position);
        self.ports.system.set_property(SystemProperty::Replayed(&letter.flow), &serde_json::to_string(&all)?).await
    }

    /// The dead letters of `flow` that were replayed.
    pub(crate) async fn replayed(&self, flow: &FlowId) -> Result<Replayed> {
        let text = self.ports.system.property(SystemProperty::Replayed(flow)).await?;
        Ok(text.map(|t| serde_json::from_str(&t)).transpose()?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
