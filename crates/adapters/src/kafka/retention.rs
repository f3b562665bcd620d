//! Records that the cluster may remove at any moment. Kafka's retention goes by the records' own times: events of years ago that are sent
//! today are gone within minutes where a topic keeps a week. That loses events, so it is said as soon as such a record is read.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millstream_core::Timestamp;
use millstream_core::time::micros_of;

use super::directory::Directory;
use super::settings::{KafkaSettings, Preset};

/// Records that are younger are of the present: their topic is not looked at.
const PRESENT: Duration = Duration::from_secs(60 * 60);
/// Kafka's default of `segment.ms`.
const SEGMENT_DEFAULT: Duration = Duration::from_secs(7 * 86_400);

/// How long a topic keeps records after their own times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retention {
    /// Whatever those are: it keeps all, compacts them, or goes by when they came.
    Any,
    /// `retention.ms`, and then until the segment that a record is in has none that is younger, `segment.ms` at the most.
    Bounded {
        /// `retention.ms`.
        retention: Duration,
        /// `segment.ms`.
        segment: Duration,
    },
}

impl Retention {
    /// As a topic's settings say it, in Kafka's words.
    pub(super) fn of(setting: impl Fn(&str) -> Option<String>) -> Self {
        let millis = |name: &str| setting(name).and_then(|text| text.parse::<u64>().ok()).map(Duration::from_millis);
        let goes_by_arrival = setting("message.timestamp.type").is_some_and(|kind| kind == "LogAppendTime");
        let only_compacts = setting("cleanup.policy").is_some_and(|policy| !policy.contains("delete"));
        // -1, without end, is no such number.
        match millis("retention.ms") {
            Some(retention) if !goes_by_arrival && !only_compacts => {
                Self::Bounded { retention, segment: millis("segment.ms").unwrap_or(SEGMENT_DEFAULT) }
            }
            _ => Self::Any,
        }
    }

    /// What to say of `topic` where a record of `time` stands in it at `now`; `None`: it is safe for as long as the topic promises.
    fn warning(self, topic: &str, time: Timestamp, now: Timestamp) -> Option<String> {
        let Self::Bounded { retention, segment } = self else { return None };
        if age(time, now) <= micros_of(retention).saturating_add(micros_of(segment)) {
            return None;
        }
        Some(format!(
            "topic {topic} holds a record of {time}, and keeps records for {} h (retention.ms = {}), which Kafka counts from the records' own \
             times: the cluster may remove it, and all that are as old, at any moment. Set retention.ms = -1, or longer than the events are old, for \
             this topic; for topics that Millstream makes, kafka.topic_config = {{ \"retention.ms\" = \"-1\" }}",
            retention.as_secs() / 3_600,
            retention.as_millis()
        ))
    }
}

fn age(time: Timestamp, now: Timestamp) -> i64 {
    now.micros().saturating_sub(time.micros())
}

/// Looks at each topic once, when the first old record of it is read.
pub(super) struct RetentionWatch {
    /// Event Hubs keeps events by when they came.
    goes_by_times: bool,
    looked_at: Mutex<BTreeSet<String>>,
}

impl RetentionWatch {
    pub(super) fn new(settings: &KafkaSettings) -> Self {
        Self { goes_by_times: settings.preset != Some(Preset::EventHubs), looked_at: Mutex::default() }
    }

    /// Warns if the record of `time`, which was read from `topic`, may be removed at any moment. Blocking, once for each topic.
    pub(super) fn note(&self, directory: &Directory, topic: &str, time: Timestamp, now: Timestamp) {
        if !self.goes_by_times || age(time, now) < micros_of(PRESENT) {
            return;
        }
        if !self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned()) {
            return;
        }
        match directory.retention(topic) {
            Ok(retention) => {
                if let Some(warning) = retention.warning(topic, time, now) {
                    tracing::warn!(topic, "{warning}");
                }
            }
            // Not everybody may ask for a topic's settings (DESCRIBE_CONFIGS), and nothing depends on it.
            Err(error) => tracing::debug!(topic, %error, "how long the topic keeps its records is not known"),
        }
    }
}

#[cfg(test)]
mod tests;
