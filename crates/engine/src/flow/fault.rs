//! Deaths and defects on request: what the kill tests inject. Without the feature `fault-injection` there is nothing of it in the program.

use millstream_core::{Epoch, FlowId};

/// A place in an epoch at which the process can be told to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Rows are put aside, nothing else is written.
    Quarantined,
    /// The checkpoint is prepared, the sink has not been asked.
    Prepared,
    /// The sink has committed, the flow does not know it yet.
    Committed,
}

impl Place {
    /// Its name in a fault's description.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Quarantined => "quarantined",
            Self::Committed => "committed",
        }
    }
}

/// Dies here if `fault` says `abort:<place>:<flow>:<epoch>`.
#[cfg(feature = "fault-injection")]
pub fn reach(fault: Option<&str>, place: Place, flow: &FlowId, epoch: Epoch) {
    let here = format!("abort:{}:{flow}:{epoch}", place.as_str());
    if fault.is_some_and(|f| f.split(',').any(|f| f == here)) {
        std::process::abort();
    }
}

/// Nothing: the feature `fault-injection` is off.
#[cfg(not(feature = "fault-injection"))]
pub fn reach(_fault: Option<&str>, _place: Place, _flow: &FlowId, _epoch: Epoch) {}

/// Whether the mutant is on that takes an epoch for committed once its checkpoint is prepared, before the sink has acknowledged it. The kill
/// test must notice it.
#[must_use]
pub fn commits_before_the_sink(fault: Option<&str>) -> bool {
    cfg!(feature = "fault-injection") && fault.is_some_and(|f| f.split(',').any(|f| f == "mutant:commit-before-ack"))
}
