//! What a change does to a row, by the rules by which Cassandra resolves writes: pure.
//!
//! The greater write timestamp wins. Of equal ones a delete wins over values, and of values, cell by cell, a null over a value and the
//! greater bytes over the others (Apache Cassandra, `Cells.reconcile`).

use millstream_core::ChangeKind;

/// A row as it is, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prior {
    /// There is none, and no delete of one is known.
    Absent,
    /// It was deleted with this version.
    Deleted(i64),
    /// It is there with this version; its values where they matter (the versions are equal).
    Present(i64, Vec<Option<Vec<u8>>>),
}

/// What comes of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing that anybody sees, and nothing has to be written.
    Nothing,
    /// Nothing that anybody sees, but the delete has to be remembered: writes of lower versions may come later.
    Remember,
    /// The change of this kind, after which the row is as written.
    Change(ChangeKind),
    /// An update after which the row has these values, some of which were there.
    Merge(Vec<Option<Vec<u8>>>),
}

/// What a delete with `version` does.
pub(super) fn delete(prior: &Prior, version: i64) -> Outcome {
    match prior {
        Prior::Present(present, _) if *present > version => Outcome::Nothing,
        Prior::Present(..) => Outcome::Change(ChangeKind::Delete),
        Prior::Deleted(deleted) if *deleted >= version => Outcome::Nothing,
        Prior::Deleted(_) | Prior::Absent => Outcome::Remember,
    }
}

/// What a row of `version` with the values `values` does; `key` says which of its columns are the key's.
pub(super) fn put<'a>(prior: &Prior, version: i64, key: &[usize], values: impl Fn(usize) -> Option<&'a [u8]>) -> Outcome {
    match prior {
        Prior::Absent => Outcome::Change(ChangeKind::Insert),
        Prior::Deleted(deleted) if *deleted >= version => Outcome::Nothing,
        Prior::Deleted(_) => Outcome::Change(ChangeKind::Insert),
        Prior::Present(present, _) if *present > version => Outcome::Nothing,
        Prior::Present(present, _) if *present < version => Outcome::Change(ChangeKind::Update),
        Prior::Present(_, before) => {
            let merged: Vec<Option<Vec<u8>>> = before
                .iter()
                .enumerate()
                .map(
                    |(i, before)| {
                        if key.contains(&i) { before.clone() } else { reconcile(before.as_deref(), values(i)).map(<[u8]>::to_vec) }
                    },
                )
                .collect();
            if merged == *before { Outcome::Nothing } else { Outcome::Merge(merged) }
        }
    }
}

/// The cell that stands of two with the same timestamp.
fn reconcile<'a>(one: Option<&'a [u8]>, other: Option<&'a [u8]>) -> Option<&'a [u8]> {
    Some(one?.max(other?))
}

#[cfg(test)]
mod tests;
