//! The contract of [`SystemStore`].

use std::sync::Arc;

use bytes::Bytes;
use millstream_core::ports::{DeadLetter, JobRun, JobRunState, LateRow, Quarantined, RUNS_KEPT, SystemProperty, SystemStore};
use millstream_core::{Epoch, EventTime, FlowId, RowPosition, Timestamp};

use super::suite;
use crate::check::{CaseResult, Failure};
use crate::check_eq;
use crate::harness::Harness;

/// The port that the suite tests.
pub type Port = Arc<dyn SystemStore>;

suite!(
    "system store",
    Port,
    [
        quarantined_rows_are_listed_as_they_were_put,
        rows_are_listed_by_flow_epoch_and_position,
        putting_the_same_again_changes_nothing,
        discard_after_takes_back_what_never_committed,
        release_removes_exactly_the_rows_named,
        runs_are_kept_by_report_and_number,
        only_the_last_runs_of_a_report_are_kept,
        forget_removes_everything_of_a_flow_or_report,
        forget_removes_the_properties_that_the_flow_owns,
        properties_are_kept_under_their_names,
        everything_survives_a_restart,
    ]
);

fn letter(flow: &str, epoch: u64, partition: i32, offset: i64) -> DeadLetter {
    DeadLetter {
        flow: FlowId::new(flow),
        epoch: Epoch(epoch),
        source: "flights".to_owned(),
        position: RowPosition { partition, offset },
        timestamp: Timestamp(1_000 * offset),
        key: Some(Bytes::from_static(b"\x00\xff")),
        value: Some(Bytes::from(format!("{{\"broken\": {offset}"))),
        reason: "column dep_delay: \"late\" is not an INT".to_owned(),
        at: Timestamp(5_000_000),
    }
}

fn late(flow: &str, epoch: u64, partition: i32, offset: i64) -> LateRow {
    LateRow {
        flow: FlowId::new(flow),
        epoch: Epoch(epoch),
        source: "flights".to_owned(),
        position: RowPosition { partition, offset },
        timestamp: Timestamp(1_000 * offset),
        key: None,
        value: Some(Bytes::from(format!("{{\"late\": {offset}}}"))),
        event_time: EventTime(-7),
        window_end: EventTime(10),
        watermark: EventTime(20),
        at: Timestamp(5_000_000),
    }
}

fn letters(letters: &[DeadLetter]) -> Quarantined {
    Quarantined { dead_letters: letters.to_vec(), late_rows: Vec::new() }
}

fn job_run(report: &str, run: u64, state: JobRunState) -> JobRun {
    JobRun {
        report: report.to_owned(),
        run,
        trigger: "schedule".to_owned(),
        state,
        started: Timestamp(1_000_000),
        ended: (state != JobRunState::Running).then_some(Timestamp(2_000_000)),
        rows: (state == JobRunState::Succeeded).then_some(42),
        removed: (state == JobRunState::Succeeded).then_some(3),
        input: Some("{\"snapshot\":{\"departures\":7}}".to_owned()),
        error: (state == JobRunState::Failed).then(|| "duplicate key (AA, 2013-01-01)".to_owned()),
    }
}

/// Every field comes back.
pub async fn quarantined_rows_are_listed_as_they_were_put(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    check_eq!((store.dead_letters().await?.len(), store.late_rows().await?.len()), (0, 0), "it is empty at first");
    let tombstone = DeadLetter { key: None, value: None, ..letter("f", 1, 0, 2) };
    let dead_letters = vec![letter("f", 1, 0, 1), tombstone];
    let late_rows = vec![late("f", 1, 0, 3), LateRow { value: None, key: Some(Bytes::new()), ..late("f", 1, 0, 4) }];
    store.quarantine(Quarantined { dead_letters: dead_letters.clone(), late_rows: late_rows.clone() }).await?;
    check_eq!(store.dead_letters().await?, dead_letters, "dead letters come back as they were put");
    check_eq!(store.late_rows().await?, late_rows, "late rows come back as they were put");
    Ok(())
}

/// In the order of flow, epoch and position, as numbers.
pub async fn rows_are_listed_by_flow_epoch_and_position(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let places = [("f", 1, 0, 1), ("f", 1, 0, 2), ("f", 1, 0, 10), ("f", 1, 3, 0), ("f", 2, 0, 5), ("f", 300, 0, 1), ("g", 1, 0, 0)];
    let expected_letters: Vec<_> = places.iter().map(|(f, e, p, o)| letter(f, *e, *p, *o)).collect();
    let expected_late: Vec<_> = places.iter().map(|(f, e, p, o)| late(f, *e, *p, *o)).collect();
    for (l, r) in expected_letters.iter().zip(&expected_late).rev() {
        store.quarantine(Quarantined { dead_letters: vec![l.clone()], late_rows: vec![r.clone()] }).await?;
    }
    check_eq!(store.dead_letters().await?, expected_letters, "dead letters are in order of flow, epoch and position");
    check_eq!(store.late_rows().await?, expected_late, "late rows are in order of flow, epoch and position");
    Ok(())
}

/// Idempotent under (flow, epoch, position): a replayed epoch puts its rows once.
pub async fn putting_the_same_again_changes_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let rows = Quarantined { dead_letters: vec![letter("f", 1, 0, 1), letter("f", 1, 0, 2)], late_rows: vec![late("f", 1, 0, 3)] };
    for _ in 0..3 {
        store.quarantine(rows.clone()).await?;
    }
    check_eq!(store.dead_letters().await?, rows.dead_letters, "each dead letter is there once");
    check_eq!(store.late_rows().await?, rows.late_rows, "each late row is there once");
    store.quarantine(Quarantined::default()).await?;
    Ok(())
}

/// What a flow put aside in epochs after the committed one is taken back, and nothing else.
pub async fn discard_after_takes_back_what_never_committed(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    for flow in ["f", "g", "f2"] {
        for epoch in [1, 2, 3, 255, 256] {
            let offset = i64::try_from(epoch).unwrap_or(0);
            let rows = Quarantined { dead_letters: vec![letter(flow, epoch, 0, offset)], late_rows: vec![late(flow, epoch, 0, offset)] };
            store.quarantine(rows).await?;
        }
    }
    store.discard_after(&FlowId::new("f"), Epoch(2)).await?;
    store.discard_after(&FlowId::new("never seen"), Epoch(0)).await?;
    let left = |flow: &FlowId, epoch: Epoch| flow.as_str() != "f" || epoch <= Epoch(2);
    let dead = store.dead_letters().await?;
    check_eq!(dead.len(), 12, "three dead letters of flow f are taken back");
    check_eq!(dead.iter().filter(|l| left(&l.flow, l.epoch)).count(), 12, "those of committed epochs and of other flows stay");
    let late = store.late_rows().await?;
    check_eq!((late.len(), late.iter().filter(|r| left(&r.flow, r.epoch)).count()), (12, 12), "and so do late rows");
    store.discard_after(&FlowId::new("f"), Epoch(0)).await?;
    check_eq!(store.dead_letters().await?.len(), 10, "a flow that never committed has nothing put aside");
    Ok(())
}

/// Exactly those, found by flow, epoch and position.
pub async fn release_removes_exactly_the_rows_named(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let all: Vec<_> = (1..=4).map(|offset| letter("f", 1, 0, offset)).collect();
    store.quarantine(Quarantined { dead_letters: all.clone(), late_rows: vec![late("f", 1, 0, 2), late("f", 1, 0, 9)] }).await?;
    // Found by its place: what else the caller knows of it does not matter.
    let named = DeadLetter { reason: String::new(), value: None, at: Timestamp(0), ..letter("f", 1, 0, 2) };
    store.release(&letters(&[named, letter("f", 1, 0, 4), letter("nobody", 1, 0, 1)])).await?;
    check_eq!(store.dead_letters().await?, [all[0].clone(), all[2].clone()], "the named dead letters are gone, the others stay");
    check_eq!(store.late_rows().await?.len(), 2, "late rows are left alone");
    store.release(&Quarantined { dead_letters: Vec::new(), late_rows: vec![late("f", 1, 0, 9)] }).await?;
    check_eq!(store.late_rows().await?, [late("f", 1, 0, 2)], "the named late row is gone");
    Ok(())
}

/// A run is replaced under its report and number; all are listed in that order.
pub async fn runs_are_kept_by_report_and_number(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    store.record_run(&job_run("b", 1, JobRunState::Running)).await?;
    for number in [10, 2, 1] {
        store.record_run(&job_run("a", number, JobRunState::Running)).await?;
    }
    store.record_run(&job_run("a", 2, JobRunState::Succeeded)).await?;
    store.record_run(&job_run("a", 10, JobRunState::Failed)).await?;
    let expected = [
        job_run("a", 1, JobRunState::Running),
        job_run("a", 2, JobRunState::Succeeded),
        job_run("a", 10, JobRunState::Failed),
        job_run("b", 1, JobRunState::Running),
    ];
    check_eq!(store.runs().await?, expected, "runs are listed by report and number, each as it was stored last");
    Ok(())
}

/// A history does not grow for ever, and one report's runs don't count for another's.
pub async fn only_the_last_runs_of_a_report_are_kept(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    for (report, number) in [("a", 1), ("a", 2), ("b", 1), ("a", RUNS_KEPT + 1)] {
        store.record_run(&job_run(report, number, JobRunState::Succeeded)).await?;
    }
    let kept: Vec<_> = store.runs().await?.into_iter().map(|r| (r.report, r.run)).collect();
    let expected = [("a".to_owned(), 2), ("a".to_owned(), RUNS_KEPT + 1), ("b".to_owned(), 1)];
    check_eq!(kept, expected, "the run that is too old is gone, the others stay");
    Ok(())
}

/// Everything of one name, and nothing of others.
pub async fn forget_removes_everything_of_a_flow_or_report(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    for name in ["f", "f2"] {
        let rows = Quarantined { dead_letters: vec![letter(name, 1, 0, 1)], late_rows: vec![late(name, 1, 0, 1)] };
        store.quarantine(rows).await?;
        store.record_run(&job_run(name, 1, JobRunState::Succeeded)).await?;
    }
    store.forget("f").await?;
    store.forget("never seen").await?;
    check_eq!(store.dead_letters().await?, [letter("f2", 1, 0, 1)], "the other flow's dead letter stays");
    check_eq!(store.late_rows().await?, [late("f2", 1, 0, 1)], "the other flow's late row stays");
    check_eq!(store.runs().await?, [job_run("f2", 1, JobRunState::Succeeded)], "the other report's run stays");
    Ok(())
}

/// Its own, and no other flow's, table's or the pipeline's.
pub async fn forget_removes_the_properties_that_the_flow_owns(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let (gone, other) = (FlowId::new("f"), FlowId::new("f2"));
    let owned = SystemProperty::of_flow(&gone);
    let others = SystemProperty::of_flow(&other).into_iter().chain([
        SystemProperty::Pipeline,
        SystemProperty::ReplayPending,
        SystemProperty::Evicted("f"),
        SystemProperty::TopicProgress("f"),
    ]);
    for property in owned.into_iter().chain(others.clone()) {
        store.set_property(property, &property.to_string()).await?;
    }
    store.forget("f").await?;
    for property in owned {
        check_eq!(store.property(property).await?, None, "\"{property}\" is gone with its flow");
    }
    for property in others {
        check_eq!(store.property(property).await?, Some(property.to_string()), "\"{property}\" stays");
    }
    Ok(())
}

/// A small value under a name.
pub async fn properties_are_kept_under_their_names(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let (one, two) = (SystemProperty::Evicted("t"), SystemProperty::Evicted("t2"));
    check_eq!(store.property(one).await?, None, "a property that was never set is none");
    store.set_property(one, "{\"é\": 1}").await?;
    store.set_property(two, "").await?;
    store.set_property(one, "{\"é\": 2}").await?;
    check_eq!(store.property(one).await?.as_deref(), Some("{\"é\": 2}"), "it has the value that was set last");
    check_eq!(store.property(two).await?.as_deref(), Some(""), "an empty value is a value");
    Ok(())
}

/// All of it is found by the next process.
pub async fn everything_survives_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let store = h.open().await?;
    store.quarantine(Quarantined { dead_letters: vec![letter("f", 1, 0, 1)], late_rows: vec![late("f", 1, 0, 2)] }).await?;
    store.record_run(&job_run("r", 1, JobRunState::Succeeded)).await?;
    store.set_property(SystemProperty::Pipeline, "x").await?;
    let store = h.reopen(store).await?;
    check_eq!(store.dead_letters().await?, [letter("f", 1, 0, 1)], "the dead letter");
    check_eq!(store.late_rows().await?, [late("f", 1, 0, 2)], "the late row");
    check_eq!(store.runs().await?, [job_run("r", 1, JobRunState::Succeeded)], "the run");
    check_eq!(store.property(SystemProperty::Pipeline).await?.as_deref(), Some("x"), "the property");
    Ok(())
}
