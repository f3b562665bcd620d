#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ports::{
    CheckpointStore, CriticalStore, EventLog, EventStore, LakeStore, ReferenceSource, ReportStore, SystemStore, TopicSink,
};

use super::*;
use crate::{Harness, OnData, SuiteReport, suite};

fn disk(defect: Option<Defect>) -> Disk {
    defect.map_or_else(Disk::default, Disk::with_defect)
}

fn event_log(defect: Option<Defect>) -> impl Harness<suite::event_log::Port> {
    OnData::new(disk(defect), |disk, clock| async { Ok(Arc::new(ToyEventLog::open(disk, clock)) as Arc<dyn EventLog>) })
}

fn event_store(defect: Option<Defect>) -> impl Harness<suite::event_store::Port> {
    OnData::new(disk(defect), |disk, clock| async { Ok(Arc::new(ToyEventStore::open(disk, clock)) as Arc<dyn EventStore>) })
}

fn change_feed(defect: Option<Defect>) -> impl Harness<suite::change_feed::Port> {
    OnData::new(disk(defect), |disk, clock| async {
        let store = Arc::new(ToyEventStore::open(disk, clock));
        Ok(suite::change_feed::Port { store: store.clone(), feed: store })
    })
}

fn report_store(defect: Option<Defect>) -> impl Harness<suite::report_store::Port> {
    OnData::new(disk(defect), |disk, _| async { Ok(Arc::new(ToyReportStore::open(disk)) as Arc<dyn ReportStore>) })
}

fn critical_store(defect: Option<Defect>) -> impl Harness<suite::critical_store::Port> {
    OnData::new(disk(defect), |disk, clock| async { Ok(Arc::new(ToyCriticalStore::open(disk, clock)) as Arc<dyn CriticalStore>) })
}

fn lake_store(defect: Option<Defect>) -> impl Harness<suite::lake_store::Port> {
    OnData::new(disk(defect), |disk, _| async { Ok(Arc::new(ToyLakeStore::open(disk)) as Arc<dyn LakeStore>) })
}

fn topic_sink(defect: Option<Defect>) -> impl Harness<suite::topic_sink::Port> {
    OnData::new(disk(defect), |disk: Arc<Disk>, clock| async {
        let log = Arc::new(ToyEventLog::open(disk.clone(), clock));
        let sink = Arc::new(ToyTopicSink::open(disk, log.clone())) as Arc<dyn TopicSink>;
        Ok(suite::topic_sink::Port { sink, log, prefix: String::new() })
    })
}

fn checkpoint_store(defect: Option<Defect>) -> impl Harness<suite::checkpoint_store::Port> {
    OnData::new(disk(defect), |disk, _| async { Ok(Arc::new(ToyCheckpointStore::open(disk)) as Arc<dyn CheckpointStore>) })
}

fn spill_store(defect: Option<Defect>) -> impl Harness<suite::spill_store::Port> {
    OnData::new(disk(defect), |disk: Arc<Disk>, _| async {
        let store = Arc::new(ToySpillStore::open(disk));
        Ok(suite::spill_store::Port { store: store.clone(), files: Arc::new(move || store.files()) })
    })
}

fn system_store(defect: Option<Defect>) -> impl Harness<suite::system_store::Port> {
    OnData::new(disk(defect), |disk, _| async { Ok(Arc::new(ToySystemStore::open(disk)) as Arc<dyn SystemStore>) })
}

fn reference_source(defect: Option<Defect>) -> impl Harness<suite::reference_source::Port> {
    OnData::new(disk(defect), |disk: Arc<Disk>, _| async {
        let source = Arc::new(ToyReferenceSource::open(disk.clone())) as Arc<dyn ReferenceSource>;
        let replace: suite::reference_source::Replace = Arc::new(move |rows| {
            ToyReferenceSource::replace(&disk, rows);
            Ok(())
        });
        Ok(suite::reference_source::Port { source, replace })
    })
}

/// Panics unless each broken toy fails its suite, in the case that is there for it.
macro_rules! each_is_noticed {
    ($suite:ident, $($defect:ident in $case:literal),* $(,)?) => {
        $(
            assert!(suite::$suite::CASES.contains(&$case), "{} is a case", $case);
            let report = suite::$suite::run_only("broken toy", || $suite(Some(Defect::$defect)), &[$case]).await;
            noticed(&report, Defect::$defect, $case);
        )*
    };
}

fn noticed(report: &SuiteReport, defect: Defect, case: &str) {
    let failed: Vec<_> = report.failures().into_iter().map(|(case, _)| case).collect();
    assert!(report.failed(case), "a toy that {defect:?} fails {case}; it failed {failed:?}\n{}", report.summary());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_event_log_passes() {
    suite::event_log::run("toy", || event_log(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_event_store_passes() {
    suite::event_store::run("toy", || event_store(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_change_feed_passes() {
    suite::change_feed::run("toy", || change_feed(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_report_store_passes() {
    suite::report_store::run("toy", || report_store(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_critical_store_passes() {
    suite::critical_store::run("toy", || critical_store(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_checkpoint_store_passes() {
    suite::checkpoint_store::run("toy", || checkpoint_store(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_spill_store_passes() {
    suite::spill_store::run("toy", || spill_store(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_system_store_passes() {
    suite::system_store::run("toy", || system_store(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_reference_source_passes() {
    suite::reference_source::run("toy", || reference_source(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_lake_store_passes() {
    suite::lake_store::run("toy", || lake_store(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toy_topic_sink_passes() {
    suite::topic_sink::run("toy", || topic_sink(None)).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_topic_sinks_are_noticed() {
    each_is_noticed!(
        topic_sink,
        ShowsHalfEpochs in "a_dropped_commit_is_whole_or_can_be_finished",
        IgnoresFencing in "a_lower_attempt_is_fenced_and_leaves_nothing",
        AcceptsGaps in "an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing",
        AppliesReplays in "a_committed_epoch_changes_nothing_when_written_again",
        ReordersRecords in "records_stand_in_the_order_of_their_changes",
        ForgetsTombstones in "a_delete_is_a_tombstone_of_its_key",
        ScattersKeys in "a_key_goes_where_every_producer_puts_it",
        LosesHeaders in "each_record_names_its_position",
        ForgetsOnReopen in "what_was_committed_survives_a_restart",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_lake_stores_are_noticed() {
    each_is_noticed!(
        lake_store,
        ShowsHalfEpochs in "a_dropped_commit_happened_wholly_or_not_at_all",
        IgnoresFencing in "a_lower_attempt_is_fenced_and_leaves_nothing",
        AcceptsGaps in "an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing",
        AppliesReplays in "a_committed_epoch_changes_nothing_when_written_again",
        AcceptsDeletes in "a_delete_is_refused_and_leaves_nothing",
        ScansOutOfOrder in "committed_rows_are_scanned_in_the_order_of_their_epochs",
        ForgetsOnReopen in "what_was_committed_survives_a_restart",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_event_logs_are_noticed() {
    each_is_noticed!(
        event_log,
        DropsRecords in "reading_goes_on_from_next_until_the_end",
        DoublesRecords in "concurrent_appends_lose_and_mix_nothing",
        ReordersRecords in "an_append_is_read_back",
        TearsAppends in "a_dropped_append_happened_wholly_or_not_at_all",
        MovesPositions in "reading_outside_the_bounds_is_refused",
        LosesHeaders in "keys_values_headers_and_timestamps_are_kept",
        ForgetsOnReopen in "what_was_appended_survives_a_restart",
    );
    let report =
        suite::event_log::run_only("broken toy", || event_log(Some(Defect::NeverWakes)), &["wait_returns_at_once_when_there_is_more"]);
    noticed(&report.await, Defect::NeverWakes, "wait_returns_at_once_when_there_is_more");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_event_stores_are_noticed() {
    each_is_noticed!(
        event_store,
        ShowsHalfEpochs in "a_dropped_commit_happened_wholly_or_not_at_all",
        IgnoresFencing in "a_lower_attempt_is_fenced_and_leaves_nothing",
        AcceptsGaps in "an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing",
        AppliesReplays in "a_committed_epoch_changes_nothing_when_written_again",
        OlderVersionWins in "the_greater_version_wins_in_any_order_of_arrival",
        ForgetsDeletes in "a_delete_wins_over_lower_versions",
        SkipsARowBetweenPages in "pages_of_any_size_add_up_to_the_whole",
        IgnoresDirection in "clustering_order_is_that_of_the_table",
        SnapshotsMove in "a_snapshot_does_not_see_later_commits",
        NeverExpires in "rows_expire_by_version_and_ttl",
        ForgetsOnReopen in "what_was_committed_survives_a_restart",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_change_feeds_are_noticed() {
    each_is_noticed!(
        change_feed,
        FeedSkipsChanges in "the_feed_adds_up_to_the_table",
        FeedDoublesChanges in "every_change_is_read_once",
        FeedShowsUncommitted in "refused_epochs_do_not_show",
        FeedShowsReplays in "what_leaves_a_row_as_it_was_is_no_change",
        FeedTrustsTheWriter in "kinds_are_those_that_the_table_saw",
        FeedTakesForeignPositions in "foreign_positions_are_out_of_range",
        ForgetsOnReopen in "positions_hold_across_restarts",
    );
    let report = suite::change_feed::run_only("broken toy", || change_feed(Some(Defect::NeverWakes)), &["wait_wakes_on_a_commit"]);
    noticed(&report.await, Defect::NeverWakes, "wait_wakes_on_a_commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_report_stores_are_noticed() {
    each_is_noticed!(
        report_store,
        PublishesHalfReports in "a_dropped_publication_leaves_the_old_report",
        KeepsVanishedKeys in "a_publication_replaces_all_rows",
        AcceptsDuplicateKeys in "duplicate_keys_fail_and_leave_the_old_report",
        AcceptsOlderRuns in "a_lower_run_is_fenced",
        ShowsHalfEpochs in "a_dropped_commit_happened_wholly_or_not_at_all",
        IgnoresFencing in "epochs_are_idempotent_fenced_and_without_gaps",
        AcceptsGaps in "epochs_are_idempotent_fenced_and_without_gaps",
        AppliesReplays in "epochs_are_idempotent_fenced_and_without_gaps",
        OlderVersionWins in "the_greater_version_wins_in_any_order_of_arrival",
        ForgetsDeletes in "a_delete_is_remembered",
        MixesJobsAndFlows in "a_report_is_published_or_upserted_not_both",
        SnapshotsMove in "a_snapshot_is_of_one_moment",
        ForgetsOnReopen in "reports_survive_a_restart",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_critical_stores_are_noticed() {
    each_is_noticed!(
        critical_store,
        FillOverwritesNewer in "a_fill_never_overwrites_the_same_or_a_greater_version",
        FillRevivesDeleted in "a_fill_never_brings_back_a_deleted_row",
        ExtendsExpiry in "writing_or_filling_again_does_not_extend_a_rows_life",
        NeverExpires in "rows_expire_by_version_and_ttl",
        EvictForgetsEpochs in "evict_all_forgets_rows_and_keeps_epochs",
        OlderVersionWins in "the_greater_version_wins_in_any_order_of_arrival",
        IgnoresFencing in "epochs_are_idempotent_fenced_and_without_gaps",
        AppliesReplays in "epochs_are_idempotent_fenced_and_without_gaps",
        ForgetsOnReopen in "rows_and_deletes_survive_a_restart",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_checkpoint_stores_are_noticed() {
    each_is_noticed!(
        checkpoint_store,
        ReturnsOtherBytes in "a_checkpoint_is_read_back_byte_for_byte",
        IgnoresFencing in "a_lower_attempt_can_neither_put_nor_prune",
        ForgetsAttempts in "forget_removes_checkpoints_and_keeps_the_attempt",
        PrunesTooMuch in "prune_keeps_what_it_is_told_to_keep",
        ForgetsTooMuch in "what_is_after_an_epoch_is_forgotten_and_the_rest_stays",
        ForgetsOnReopen in "claims_rise_across_restarts",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_spill_stores_are_noticed() {
    each_is_noticed!(
        spill_store,
        ReturnsOtherBytes in "what_was_appended_is_read_back_from_any_place",
        KeepsDroppedFiles in "a_dropped_file_is_gone",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_system_stores_are_noticed() {
    each_is_noticed!(
        system_store,
        DoublesQuarantined in "putting_the_same_again_changes_nothing",
        KeepsUncommitted in "discard_after_takes_back_what_never_committed",
        ReleasesTooMuch in "release_removes_exactly_the_rows_named",
        KeepsProperties in "forget_removes_the_properties_that_the_flow_owns",
        ForgetsOnReopen in "everything_survives_a_restart",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_reference_sources_are_noticed() {
    each_is_noticed!(
        reference_source,
        MixesRevisions in "a_change_in_the_middle_of_a_load_is_never_a_mixture",
        RevisionStands in "the_revision_changes_when_the_data_does",
    );
}
