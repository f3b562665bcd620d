//! The ways in which a toy can be broken.

/// One breach of a contract. Each is noticed by the suite of its port, in a case that testkit's own tests name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// All ports: what was written is gone after a restart.
    ForgetsOnReopen,
    /// Event log: now and then a record of an append is lost.
    DropsRecords,
    /// Event log: now and then a record is there twice.
    DoublesRecords,
    /// Event log, topic sink: the records of an append, or of an epoch, are stored backwards.
    ReordersRecords,
    /// Event log: an append's records are stored one by one, with others in between.
    TearsAppends,
    /// Event log: a read outside of the bounds is silently moved into them.
    MovesPositions,
    /// Event log, topic sink: headers are lost.
    LosesHeaders,
    /// Event log, change feed: waiting never ends.
    NeverWakes,
    /// Event store, lake store, report store, topic sink: half of an epoch is seen before the other half.
    ShowsHalfEpochs,
    /// Event store, critical store, lake store, report store, topic sink, checkpoint store: lower attempts may write.
    IgnoresFencing,
    /// Event store, lake store, report store, topic sink: an epoch may leave a gap.
    AcceptsGaps,
    /// Event store, critical store, lake store, report store, topic sink: an epoch that is written again is applied again.
    AppliesReplays,
    /// Event store, critical store, report store: the later arrival wins, whatever its version.
    OlderVersionWins,
    /// Event store, report store: a delete leaves no trace, so that an older row comes back.
    ForgetsDeletes,
    /// Event store: the row after a page is skipped.
    SkipsARowBetweenPages,
    /// Event store: clustering order is always ascending.
    IgnoresDirection,
    /// Event store, report store: a snapshot shows what was committed after it.
    SnapshotsMove,
    /// Event store, critical store: rows never expire.
    NeverExpires,
    /// Change feed: now and then a change is missing.
    FeedSkipsChanges,
    /// Change feed: now and then a change comes twice.
    FeedDoublesChanges,
    /// Change feed: changes of epochs that were refused are shown.
    FeedShowsUncommitted,
    /// Change feed: a write that changed nothing is shown as a change.
    FeedShowsReplays,
    /// Change feed: the kind is what the writer called it.
    FeedTrustsTheWriter,
    /// Change feed: a position from anywhere is taken.
    FeedTakesForeignPositions,
    /// Report store: rows show as they come.
    PublishesHalfReports,
    /// Report store: rows whose keys vanished stay.
    KeepsVanishedKeys,
    /// Report store: of two rows with one key the last is taken.
    AcceptsDuplicateKeys,
    /// Report store: an older run may replace a newer one.
    AcceptsOlderRuns,
    /// Report store: what was published takes epochs, and what flows write is published.
    MixesJobsAndFlows,
    /// Critical store: a fill always overwrites.
    FillOverwritesNewer,
    /// Critical store: a fill brings a deleted row back.
    FillRevivesDeleted,
    /// Critical store: expiry counts from the moment of the write.
    ExtendsExpiry,
    /// Critical store: evicting the rows forgets the epochs too.
    EvictForgetsEpochs,
    /// Topic sink: a delete leaves no tombstone.
    ForgetsTombstones,
    /// Topic sink: a key goes to another partition than every producer puts it into.
    ScattersKeys,
    /// Lake store: a delete is taken, and ignored.
    AcceptsDeletes,
    /// Lake store: the rows of later epochs come first.
    ScansOutOfOrder,
    /// Checkpoint store, spill store: one byte comes back changed.
    ReturnsOtherBytes,
    /// Checkpoint store: forgetting a flow forgets its attempt too.
    ForgetsAttempts,
    /// Checkpoint store: pruning removes one checkpoint too many.
    PrunesTooMuch,
    /// Checkpoint store: forgetting what is after an epoch removes that epoch's checkpoint too.
    ForgetsTooMuch,
    /// System store: rows that are put aside twice are there twice.
    DoublesQuarantined,
    /// System store: rows of epochs that never committed stay.
    KeepsUncommitted,
    /// System store: releasing one row releases all of its flow.
    ReleasesTooMuch,
    /// System store: the properties of a flow that is forgotten stay.
    KeepsProperties,
    /// Spill store: a file that nobody has any more stays.
    KeepsDroppedFiles,
    /// Reference source: a load beside a change shows some of both.
    MixesRevisions,
    /// Reference source: the revision stays when the data changes.
    RevisionStands,
}
