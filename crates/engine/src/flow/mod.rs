//! Flows: each takes chunks of its source, computes, and commits its rows in epochs.
//!
//! An epoch is: a chunk is processed in memory; rows that could not be processed are put aside under the epoch's number; the
//! [checkpoint] of the state after it is *prepared*; the sink writes the rows and commits the epoch in one step. The next chunk may be
//! processed meanwhile (see the module `commit`). [Recovery](recovery) asks
//! the sink which epoch it committed and goes on from that epoch's checkpoint; what was put aside for later epochs is taken back. So a flow
//! that was killed anywhere does every row once.
//!
//! [`process`] decides and does no I/O; [`runner`] and `commit` do the I/O and decide nothing.

mod activity;
mod aside;
mod bounds;
mod calls;
pub mod checkpoint;
mod commit;
pub mod compatibility;
pub mod emission;
pub mod fault;
mod joined;
mod keys;
pub mod monitor;
mod partitions;
pub mod process;
mod recovery;
pub mod redo;
mod repair;
pub mod repetition;
mod reports;
mod restore;
mod restore_points;
mod rounds;
pub mod runner;
mod siblings;
pub mod state;
mod torn;
mod versions;
pub mod watermark;
mod writable;

pub use monitor::FlowMonitor;
pub use runner::{FlowCommand, FlowInput, FlowRunner, FlowSpec};
