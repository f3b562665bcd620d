//! Which write of a key wins, and what that does to the table: pure rules over one key's stored state and its changes.

use millstream_core::{ChangeKind, Version};

use super::row_codec::Stored;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyState<'a> {
    /// Nothing was ever written, or it was forgotten.
    Absent,
    /// A row, which may have expired.
    Row { version: Version, cells: &'a [u8] },
    /// It was deleted.
    Deleted { version: Version },
}

impl<'a> From<Stored<'a>> for KeyState<'a> {
    fn from(stored: Stored<'a>) -> Self {
        match stored {
            Stored::Row { version, cells } => Self::Row { version, cells },
            Stored::Tombstone { version, .. } => Self::Deleted { version },
        }
    }
}

/// Until when rows live: `version + ttl <= now` is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    /// The table's TTL in microseconds.
    pub ttl: Option<i64>,
    /// The wall clock in microseconds.
    pub now: i64,
}

impl Expiry {
    /// When a row of `version` expires, in microseconds; `i64::MAX` for never.
    pub fn gone_at(&self, version: Version) -> i64 {
        self.ttl.map_or(i64::MAX, |ttl| version.0.saturating_add(ttl))
    }

    /// Whether a row of `version` has expired.
    pub fn is_expired(&self, version: Version) -> bool {
        self.ttl.is_some() && self.gone_at(version) <= self.now
    }
}

impl<'a> KeyState<'a> {
    /// The state after a write of `version`: a row with `cells`, or a delete. `None` when the write loses: what is there has a
    /// greater version. Of equal versions the later write wins.
    pub fn after(self, version: Version, write: Option<&'a [u8]>) -> Option<KeyState<'a>> {
        let stands = match self {
            Self::Absent => None,
            Self::Row { version, .. } | Self::Deleted { version } => Some(version),
        };
        if stands.is_some_and(|stands| stands > version) {
            return None;
        }
        Some(match write {
            Some(cells) => Self::Row { version, cells },
            None => Self::Deleted { version },
        })
    }

    /// The cells that a reader sees.
    pub fn visible(&self, expiry: Expiry) -> Option<&'a [u8]> {
        match self {
            Self::Row { version, cells } if !expiry.is_expired(*version) => Some(cells),
            _ => None,
        }
    }
}

/// What a reader sees happen when a key goes from `before` to `after` in one step: `None` when nothing, as with equal rows of which
/// the second has a greater version (an event that was sent twice), a delete of nothing, or a row that came expired.
pub(super) fn net_change(before: KeyState<'_>, after: KeyState<'_>, expiry: Expiry) -> Option<ChangeKind> {
    match (before.visible(expiry), after.visible(expiry)) {
        (None, Some(_)) => Some(ChangeKind::Insert),
        (Some(old), Some(new)) if old != new => Some(ChangeKind::Update),
        (Some(_), None) => Some(ChangeKind::Delete),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
