//! Ports that fail on purpose: at the Nth call, before or after the call took effect, or that block until the test lets them go.
//!
//! A [`Faults`] is the plan; a wrapper ([`FaultyEventLog`], [`FaultyEventStore`], [`FaultyEpochSink`], [`FaultyChangeFeed`],
//! [`FaultyCheckpointStore`], [`FaultySystemStore`]) follows it on its way to the port inside. Several wrappers can share one plan.
//!
//! ```
//! # use millstream_core::ErrorKind;
//! use millstream_testkit::faults::{Call, Faults};
//!
//! let faults = Faults::default();
//! faults.fail(Call::Commit, 3, ErrorKind::Unavailable); // the third commit fails, and nothing was written
//! faults.fail_after(Call::Put, 1, ErrorKind::Unavailable); // the first put is stored, but its answer is lost
//! let gate = faults.block(Call::Commit, 5); // the fifth commit waits until `gate.release()`
//! # drop(gate);
//! ```

mod checkpoint_store;
mod event_log;
mod event_store;
mod system_store;

pub use checkpoint_store::FaultyCheckpointStore;
pub use event_log::FaultyEventLog;
pub use event_store::{FaultyChangeFeed, FaultyEpochSink, FaultyEventStore};
pub use system_store::FaultySystemStore;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_core::{Error, ErrorKind, Result};
use tokio::sync::watch;

/// A method of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named after its method, and after what it works on where that is not enough")]
pub enum Call {
    LogIdentity,
    CreateTopic,
    DeleteTopic,
    Topics,
    Append,
    Bounds,
    ReadLog,
    Acknowledge,
    WaitLog,
    Begin,
    Commit,
    EnsureTable,
    BindTable,
    ReadPartition,
    Snapshot,
    DropTable,
    FeedRanges,
    FeedRead,
    FeedWait,
    Claim,
    Put,
    Get,
    Epochs,
    Prune,
    ForgetAfter,
    Forget,
    Flows,
    Quarantine,
    DiscardAfter,
    DeadLetters,
    LateRows,
    Release,
    RecordRun,
    Runs,
    ForgetAside,
    Property,
    SetProperty,
}

/// What happens to a call.
#[derive(Clone, Debug)]
enum Fault {
    Fail(ErrorKind),
    FailAfter(ErrorKind),
    Block(Gate),
    BlockAfter(Gate),
}

/// Which calls: the one with this number, or that one and all after it.
#[derive(Clone, Copy, Debug)]
enum Which {
    Only(u64),
    From(u64),
}

/// The plan of what goes wrong when, and the count of what was called. Calls count from 1.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<(Call, Which, Fault)>>,
    counts: Mutex<BTreeMap<Call, u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    fn plan(&self, call: Call, which: Which, fault: Fault) {
        lock(&self.planned).push((call, which, fault));
    }

    /// The `nth` `call` fails with `kind`, without effect.
    pub fn fail(&self, call: Call, nth: u64, kind: ErrorKind) {
        self.plan(call, Which::Only(nth), Fault::Fail(kind));
    }

    /// The `nth` `call` and all after it fail with `kind`, until [`heal`](Self::heal).
    pub fn fail_from(&self, call: Call, nth: u64, kind: ErrorKind) {
        self.plan(call, Which::From(nth), Fault::Fail(kind));
    }

    /// The `nth` `call` takes effect, and then fails with `kind`: an answer that was lost on the way.
    pub fn fail_after(&self, call: Call, nth: u64, kind: ErrorKind) {
        self.plan(call, Which::Only(nth), Fault::FailAfter(kind));
    }

    /// The `nth` `call` waits at the gate before it has any effect.
    pub fn block(&self, call: Call, nth: u64) -> Gate {
        let gate = Gate::default();
        self.plan(call, Which::Only(nth), Fault::Block(gate.clone()));
        gate
    }

    /// The `nth` `call` takes effect, and its answer waits at the gate.
    pub fn block_after(&self, call: Call, nth: u64) -> Gate {
        let gate = Gate::default();
        self.plan(call, Which::Only(nth), Fault::BlockAfter(gate.clone()));
        gate
    }

    /// Forgets all that was planned; the counts go on.
    pub fn heal(&self) {
        lock(&self.planned).clear();
    }

    /// How often `call` was called, whatever became of it.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        lock(&self.counts).get(&call).copied().unwrap_or(0)
    }

    fn next(&self, call: Call) -> Option<Fault> {
        let number = {
            let mut counts = lock(&self.counts);
            let count = counts.entry(call).or_default();
            *count += 1;
            *count
        };
        let due = |(c, which, _): &&(Call, Which, Fault)| {
            *c == call
                && match which {
                    Which::Only(n) => number == *n,
                    Which::From(n) => number >= *n,
                }
        };
        lock(&self.planned).iter().find(due).map(|(_, _, fault)| fault.clone())
    }

    /// Makes a call by the plan. A future that is dropped at a gate has had the effect that the gate's side says.
    async fn around<T, Fut: Future<Output = Result<T>>>(&self, call: Call, make: impl FnOnce() -> Fut) -> Result<T> {
        let failure = |kind| Error::new(kind, format!("{call:?} failed because a test's plan says so"));
        match self.next(call) {
            None => make().await,
            Some(Fault::Fail(kind)) => Err(failure(kind)),
            Some(Fault::FailAfter(kind)) => {
                make().await?;
                Err(failure(kind))
            }
            Some(Fault::Block(gate)) => {
                gate.pass().await;
                make().await
            }
            Some(Fault::BlockAfter(gate)) => {
                let answer = make().await;
                gate.pass().await;
                answer
            }
        }
    }
}

/// Where a call waits until the test releases it.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    state: Arc<watch::Sender<GateState>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct GateState {
    reached: bool,
    released: bool,
}

impl Gate {
    /// Resolves when the call has come to the gate.
    pub async fn reached(&self) {
        // The sender lives as long as `self`.
        let _ = self.state.subscribe().wait_for(|s| s.reached).await;
    }

    /// Lets the call go on.
    pub fn release(&self) {
        self.state.send_modify(|s| s.released = true);
    }

    async fn pass(&self) {
        self.state.send_modify(|s| s.reached = true);
        let _ = self.state.subscribe().wait_for(|s| s.released).await;
    }
}

#[cfg(test)]
mod tests;
