//! The offsets that groups have committed: a table, and the changes it consists of. The shell keeps the changes in a file and
//! plays them back; here nothing is stored.

use std::collections::BTreeMap;

use millstream_core::Timestamp;
use serde::{Deserialize, Serialize};

/// A partition of a topic. `topic_id` tells a topic from an earlier one of the same name, whose offsets mean nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OffsetKey {
    /// The topic's name.
    pub topic: String,
    /// The topic's id.
    pub topic_id: u64,
    /// The partition.
    pub partition: i32,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The offset that the group reads next.
    pub offset: i64,
    /// The leader epoch that the consumer saw; -1 for none.
    pub leader_epoch: i32,
    /// A note of the consumer.
    pub metadata: String,
    /// When it was committed.
    pub at: Timestamp,
}

/// A change to the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetChange {
    /// A group committed offsets.
    Commit {
        /// The group.
        group: String,
        /// What it committed.
        offsets: Vec<(OffsetKey, Committed)>,
    },
    /// A group was deleted with all its offsets.
    Forget {
        /// The group.
        group: String,
    },
}

/// All committed offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    groups: BTreeMap<String, BTreeMap<OffsetKey, Committed>>,
}

impl Offsets {
    /// Applies a change.
    pub fn apply(&mut self, change: OffsetChange) {
        match change {
            OffsetChange::Commit { group, offsets } => self.groups.entry(group).or_default().extend(offsets),
            OffsetChange::Forget { group } => {
                self.groups.remove(&group);
            }
        }
    }

    /// The changes that give this table again: as few as possible.
    #[must_use]
    pub fn snapshot(&self) -> Vec<OffsetChange> {
        let commit = |(group, offsets): (&String, &BTreeMap<OffsetKey, Committed>)| OffsetChange::Commit {
            group: group.clone(),
            offsets: offsets.iter().map(|(k, c)| (k.clone(), c.clone())).collect(),
        };
        self.groups.iter().map(commit).collect()
    }

    /// Drops what belongs to topics that no longer exist.
    pub fn retain_topics(&mut self, exists: impl Fn(&OffsetKey) -> bool) {
        for offsets in self.groups.values_mut() {
            offsets.retain(|key, _| exists(key));
        }
        self.groups.retain(|_, offsets| !offsets.is_empty());
    }

    /// What `group` committed; empty for an unknown group.
    pub fn of_group<'a>(&'a self, group: &str) -> impl Iterator<Item = (&'a OffsetKey, &'a Committed)> {
        self.groups.get(group).into_iter().flatten()
    }

    /// What `group` committed for one partition.
    #[must_use]
    pub fn get(&self, group: &str, key: &OffsetKey) -> Option<&Committed> {
        self.groups.get(group)?.get(key)
    }

    /// Whether `group` has committed anything.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Every group that has committed offsets.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
