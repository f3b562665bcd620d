#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ports::TopicSpec;
use millstream_testkit::ManualClock;
use millstream_testkit::toy::{Disk, ToyEventLog};

use super::*;

#[tokio::test]
async fn a_topic_that_has_got_partitions_is_told_of_until_it_is_read_as_a_whole() {
    let clock = Arc::new(ManualClock::default());
    let log = Arc::new(ToyEventLog::open(Arc::new(Disk::default()), clock.clone()));
    for name in ["flights", "others"] {
        log.create_topic(&TopicSpec { name: name.to_owned(), partitions: 2, retention: None }).await.unwrap();
    }
    let read = BTreeMap::from([("flights".to_owned(), 2)]);
    let growth = TopicGrowth { log: log.clone(), clock, read, found: Mutex::default() };
    growth.look().await.unwrap();
    assert_eq!(growth.status(), []);
    log.set_partitions("flights", 3).unwrap();
    log.set_partitions("others", 9).unwrap();
    growth.look().await.unwrap();
    assert_eq!(growth.status(), [GrownTopic { topic: "flights".to_owned(), partitions: 3, read: 2 }], "nobody reads the other topic");
    let told = growth.status()[0].to_string();
    assert!(told.contains("has 3 partitions, and flows read 2 of them") && told.contains("partitions '3'"), "{told}");
    log.delete_topic("flights").await.unwrap();
    growth.look().await.unwrap();
    assert_eq!(growth.status(), [], "the flows tell of a topic that is gone");
}
