//! What goes over the control socket, as data.

use millstream_engine::replay::ReplayRequest;
use serde::{Deserialize, Serialize};

use crate::cli::{RowFormat, VerifyFormat};

/// The protocol's version: a client and a server of different versions refuse each other by name.
pub const VERSION: u32 = 1;

/// A request with the protocol's version.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// The client's protocol version.
    pub version: u32,
    /// What it asks for.
    pub request: Request,
}

/// What can be asked of a pipeline, whether it runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// Run a query and print its rows.
    Sql {
        /// PostgreSQL's dialect.
        query: String,
        /// How rows are printed.
        format: RowFormat,
    },
    /// Run a batch job.
    Refresh {
        /// The report.
        name: String,
    },
    /// Reconcile everything.
    Verify {
        /// How the outcome is printed.
        format: VerifyFormat,
    },
    /// Give dead letters to their flows again.
    ReplayDeadLetters {
        /// Which ones, and their repaired values.
        replay: ReplayRequest,
    },
    /// Give late rows to their flows again.
    ReplayLateRows {
        /// Which ones.
        replay: ReplayRequest,
    },
    /// What is there that a changed pipeline has to agree with, as JSON: see `millstream_engine::plan`.
    Facts,
    /// Print the state of flows, jobs and listeners.
    Status,
    /// Empty the cache of a redis table.
    Evict {
        /// The table.
        name: String,
    },
    /// Forget a table's or report's content.
    Reset {
        /// The table or report.
        name: String,
    },
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum Frame {
    /// Text for stdout, as it is.
    Data {
        /// The text.
        text: String,
    },
    /// A line for stderr.
    Note {
        /// The line.
        text: String,
    },
    /// How far a long work is.
    Progress {
        /// What is counted.
        label: String,
        /// So many are done.
        done: u64,
        /// Of so many; 0: unknown.
        total: u64,
    },
    /// The end of the answer.
    End {
        /// The command's exit code.
        exit_code: u8,
    },
    /// The end of the answer: it failed.
    Failed {
        /// The error's exit code.
        exit_code: u8,
        /// The error.
        message: String,
    },
}
