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
    monitor.resumed(Attempt(1), Epoch(4), &source(), None);
    assert_eq!(lag(&monitor), None, "nobody has looked what came while it was away");
    monitor.has_read(900);
    assert_eq!(lag(&monitor), Some(900));
    monitor.has_read(1_200);
    assert_eq!(lag(&monitor), Some(900), "from now on epochs say it");
    monitor.committed(Epoch(5), &source(), &EpochSummary { rows_in: 500, lag: 400, ..EpochSummary::default() }, NOW);
    assert_eq!(lag(&monitor), Some(400));
    monitor.idle();
    assert_eq!(lag(&monitor), Some(0));
    monitor.resumed(Attempt(2), Epoch(5), &source(), None);
    assert_eq!(lag(&monitor), None);
}
