//! Whether a checkpoint is of the query that a flow has now. Pure.

use millstream_pipeline::graph::Flow;
use millstream_pipeline::signature::{Change, Scope};

use super::checkpoint::Header;

/// How the query that a checkpoint was written by relates to the flow's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is the same.
    Same,
    /// Only what follows the state is different: the flow can go on, and writes what it writes from now on by its new query.
    BehindState(Vec<Change>),
    /// What the state was made of is different: the table has to be rebuilt.
    Another(Vec<Change>),
    /// It was written by a program that kept a plan's text, and that is another one: whether the state fits, nobody can tell.
    Unknown,
}

/// How the checkpoint with `header` fits `flow`. A cache has to hold what its query gives, for that is what else is loaded into it: there is
/// no part of a query that only concerns later rows.
#[must_use]
pub fn fit(header: &Header, flow: &Flow, is_cache: bool) -> Fit {
    let Some(signature) = &header.signature else {
        return if header.fingerprint.as_ref() == Some(&flow.fingerprint) { Fit::Same } else { Fit::Unknown };
    };
    let changes = signature.changes(&flow.signature);
    match is_cache || changes.iter().any(|change| change.scope == Scope::State) {
        _ if changes.is_empty() => Fit::Same,
        true => Fit::Another(changes),
        false => Fit::BehindState(changes),
    }
}

/// Changes in one line.
#[must_use]
pub fn told(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
