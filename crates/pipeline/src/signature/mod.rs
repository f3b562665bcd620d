//! What decides what a flow computes, in parts that have names: kept in its checkpoints, so that a changed query is told by what is
//! different in it, and only what its state was made of has to be made again.
//!
//! The texts are Millstream's own. They hold every expression in terms of the source's columns, so that neither the names in between nor the
//! order of conditions matter, nor how DataFusion prints or arranges its plans.

mod derive;
mod expression;
mod format;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use derive::signature;

/// The version of these texts: raised when they would read differently for the same flow. Version 1 had no [`FORMATS`].
const VERSION: u8 = 2;

/// How the values of the source are read, and those of the source on the right.
const FORMATS: [&str; 2] = ["format", "format on the right"];

/// What decides what a flow computes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    version: u8,
    parts: Vec<Part>,
}

/// One thing that decides what a flow computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    name: String,
    scope: Scope,
    text: String,
}

/// What a part of a flow decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What the flow keeps between epochs, or which table that belongs to.
    State,
    /// What becomes of the state, or, in a flow without one, of each event: rows that are written from now on.
    Result,
}

/// A part that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The part: `filter`, `aggregate 2`.
    pub part: String,
    /// What it decides.
    pub scope: Scope,
    /// What it was; `None`: there was none.
    pub was: Option<String>,
    /// What it is; `None`: there is none any more.
    pub is: Option<String>,
}

impl Signature {
    fn add(&mut self, scope: Scope, name: impl Into<String>, text: impl Into<String>) {
        self.parts.push(Part { name: name.into(), scope, text: text.into() });
    }

    fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// What is different in `now`, in its order; what is gone comes last. Where this is of version 1, nothing is known of how values were read.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let lacks_formats = (self.version, now.version) == (1, VERSION);
        if self.version != now.version && !lacks_formats {
            let version = |signature: &Self| Some(format!("version {}", signature.version));
            let part = "the description of the query".to_owned();
            return vec![Change { part, scope: Scope::State, was: version(self), is: version(now) }];
        }
        let is_known = |part: &&Part| !lacks_formats || !FORMATS.contains(&part.name.as_str());
        let changed = now.parts.iter().filter(is_known).filter_map(|part| {
            let was = self.part(&part.name);
            let differs = was.is_none_or(|was| was.text != part.text || was.scope != part.scope);
            differs.then(|| Change {
                part: part.name.clone(),
                // What was kept for it, or is to be: either is enough.
                scope: if was.is_some_and(|was| was.scope == Scope::State) { Scope::State } else { part.scope },
                was: was.map(|was| was.text.clone()),
                is: Some(part.text.clone()),
            })
        });
        let gone = self.parts.iter().filter(|part| now.part(&part.name).is_none());
        let gone = gone.map(|part| Change { part: part.name.clone(), scope: part.scope, was: Some(part.text.clone()), is: None });
        changed.chain(gone).collect()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.was, &self.is) {
            (Some(was), Some(is)) => write!(f, "{} was {was}, and is {is}", self.part),
            (Some(was), None) => write!(f, "{} is gone: {was}", self.part),
            (None, Some(is)) => write!(f, "{} is new: {is}", self.part),
            (None, None) => f.write_str(&self.part),
        }
    }
}

#[cfg(test)]
mod tests;
