#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
/// 2024-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_704_067_200_000_000);
/// 2013-01-01T10:15:00Z.
const OF_2013: Timestamp = Timestamp(1_357_035_300_000_000);

fn retention(settings: &[(&str, &str)]) -> Retention {
    Retention::of(|name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn events_of_the_past_in_a_topic_that_keeps_a_week_are_warned_of_with_what_to_set() {
    let week = retention(&[("retention.ms", "604800000"), ("segment.ms", "604800000"), ("cleanup.policy", "delete")]);
    assert_eq!(week, Retention::Bounded { retention: 7 * DAY, segment: 7 * DAY });
    let warning = week.warning("flights", OF_2013, NOW).unwrap();
    for part in ["topic flights holds a record of 2013-01-01T10:15:00Z", "168 h (retention.ms = 604800000)", r#"{ "retention.ms" = "-1" }"#]
    {
        assert!(warning.contains(part), "no {part:?} in {warning}");
    }
}

#[test]
fn records_that_only_wait_for_their_segment_are_nothing_to_speak_of() {
    let week = retention(&[("retention.ms", "604800000")]);
    assert_eq!(week.warning("t", NOW.minus(14 * DAY), NOW), None);
    assert!(week.warning("t", NOW.minus(15 * DAY), NOW).is_some());
    let hourly = retention(&[("retention.ms", "604800000"), ("segment.ms", "3600000")]);
    assert!(hourly.warning("t", NOW.minus(8 * DAY), NOW).is_some());
    assert_eq!(hourly.warning("t", NOW.plus(DAY), NOW), None, "a time that is still to come");
}

#[test]
fn topics_that_keep_all_or_go_by_arrival_are_safe() {
    let without_end = [("retention.ms", "-1")];
    let compacted = [("retention.ms", "604800000"), ("cleanup.policy", "compact")];
    let by_arrival = [("retention.ms", "604800000"), ("message.timestamp.type", "LogAppendTime")];
    assert_eq!(retention(&without_end), Retention::Any);
    assert_eq!(retention(&compacted), Retention::Any);
    assert_eq!(retention(&by_arrival), Retention::Any);
    assert_eq!(retention(&[]), Retention::Any, "nothing is known");
    assert_ne!(retention(&[("retention.ms", "1000"), ("cleanup.policy", "compact,delete")]), Retention::Any);
    assert_eq!(Retention::Any.warning("t", OF_2013, NOW), None);
}
