#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

const NOW: Timestamp = Timestamp(1_704_067_200_000_000);

fn source() -> SourceState {
    SourceState::default()
}

fn lag(monitor: &FlowMonitor) -> Option<u64> {
    monitor.status(NOW).lag
}

#[test]
fn the_lag_is_unknown_until_the_flow_has_read_and_again_when_it_begins_anew() {
    let monitor = FlowMonitor::new("departures", "departures", "flights");
    assert_eq!(lag(&monitor), None);
    monitor.resumed(Attempt(1), Epoch(4), Some(&source()), None);
    assert_eq!(lag(&monitor), None, "nobody has looked what came while it was away");
    monitor.has_read(900);
    assert_eq!(lag(&monitor), Some(900));
    monitor.has_read(1_200);
    assert_eq!(lag(&monitor), Some(900), "from now on epochs say it");
    monitor.committed(Epoch(5), &source(), &EpochSummary { rows_in: 500, lag: Some(400), ..EpochSummary::default() }, NOW);
    assert_eq!(lag(&monitor), Some(400));
    monitor.idle();
    assert_eq!(lag(&monitor), Some(0));
    monitor.has_read(7);
    assert_eq!(lag(&monitor), Some(7), "a flow that fails at these is not up to date");
    monitor.resumed(Attempt(2), Epoch(5), Some(&source()), None);
    assert_eq!(lag(&monitor), None);
}

#[test]
fn a_flow_waits_as_long_as_one_of_its_parts_does() {
    let monitor = FlowMonitor::new("departures", "departures", "flights");
    let away = Error::unavailable("the store does not answer");
    let phase = || monitor.status(NOW).phase;
    monitor.set_phase(FlowPhase::Running);
    monitor.waits(Part::Commits, NOW, &away);
    monitor.waits(Part::Works, NOW, &away);
    monitor.goes_on(Part::Works);
    assert_eq!(phase(), FlowPhase::Waiting, "a read that was answered says nothing of the store");
    monitor.goes_on(Part::Commits);
    assert_eq!(phase(), FlowPhase::Running);
    assert!(monitor.status(NOW).last_error.is_some(), "the last error stays on the record");
    monitor.waits(Part::Commits, NOW, &away);
    monitor.failed(NOW, &away);
    assert_eq!(phase(), FlowPhase::Failed, "a flow that has failed waits for nothing");
}
