//! [`SystemProperty`]: the small values that the system store keeps, each with its name and with whose it is.

use std::fmt;

use crate::ident::FlowId;

/// A small value that the system store keeps. All there are stand here, so that no two have one name and it is seen what goes when its owner goes.
///
/// The names, by [`Display`](fmt::Display), are stored data: they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SystemProperty<'a> {
    /// The pipeline's: what its tables are. A table that is reset is put down anew.
    Pipeline,
    /// The pipeline's: where the topics ended when a replay of dead letters began. It stays when a flow goes, for what was published is in the topics still.
    ReplayPending,
    /// A flow's: which log its positions are in. It goes with the positions; a flow that begins anew puts down the log that it finds.
    Log(&'a FlowId),
    /// A flow's: how many versions an epoch has had at most. It speaks of epochs of which no row is left when the flow goes, and those that come say theirs before
    /// they are written.
    MostVersions(&'a FlowId),
    /// A flow's: which of its dead letters were replayed. It goes with the dead letters: a flow that begins anew meets their events again, and puts them
    /// aside again.
    Replayed(&'a FlowId),
    /// A redis table's: when it was last emptied on request, in microseconds. A table that is reset has none.
    Evicted(&'a str),
    /// A topic table's: how far flows have come in it. Its sink forgets it with the topic, but for the attempts: a zombie stays fenced.
    TopicProgress(&'a str),
}

impl<'a> SystemProperty<'a> {
    /// All that `flow` owns: what goes when the flow goes.
    #[must_use]
    pub fn of_flow(flow: &'a FlowId) -> [Self; 3] {
        [Self::Log(flow), Self::MostVersions(flow), Self::Replayed(flow)]
    }
}

impl fmt::Display for SystemProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipeline => f.write_str("pipeline"),
            Self::ReplayPending => f.write_str("replay pending"),
            Self::Log(flow) => write!(f, "log of flow {flow}"),
            Self::MostVersions(flow) => write!(f, "most versions of an epoch of flow {flow}"),
            Self::Replayed(flow) => write!(f, "replayed dead letters of {flow}"),
            Self::Evicted(table) => write!(f, "evicted {table}"),
            Self::TopicProgress(table) => write!(f, "topic progress {table}"),
        }
    }
}

#[cfg(test)]
mod tests;
