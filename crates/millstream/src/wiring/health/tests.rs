#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::atomic::AtomicUsize;

use millstream_core::Error;
use millstream_core::ports::SystemClock;

use super::*;

fn engines() -> (Arc<Engines>, Arc<EngineHealth>) {
    let engines = Engines::new(Patience::Wait, Arc::new(SystemClock));
    let health = engines.add("reports", "postgresql", "db:5432", None);
    (engines, health)
}

#[test]
fn a_system_is_away_from_its_first_unavailable_call_to_its_next_answer() {
    let (engines, health) = engines();
    assert_eq!(engines.status()[0].away, None);
    assert!(health.observe::<()>(Err(Error::unavailable("refused"))).is_err());
    let (since, why) = engines.status()[0].away.clone().unwrap();
    assert_eq!(why, "refused");
    assert!(health.observe::<()>(Err(Error::unavailable("no route"))).is_err());
    assert_eq!(engines.status()[0].away, Some((since, "no route".to_owned())), "the last reason, and the first time");
    health.observe(Ok(1)).unwrap();
    assert_eq!(engines.status()[0].away, None);
}

#[test]
fn a_refusal_is_an_answer_and_a_defect_is_none() {
    let (engines, health) = engines();
    _ = health.observe::<()>(Err(Error::unavailable("refused")));
    _ = health.observe::<()>(Err(Error::internal("a defect")));
    assert!(engines.status()[0].away.is_some());
    _ = health.observe::<()>(Err(Error::invalid("no such column")));
    assert_eq!(engines.status()[0].away, None);
}

#[tokio::test]
async fn an_absent_system_is_waited_for_and_a_wrong_password_is_not() {
    let (engines, health) = engines();
    let tries = AtomicUsize::new(0);
    let connected = health
        .until_there(async || match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::unavailable("refused")),
            tries => Ok(tries),
        })
        .await;
    assert_eq!(connected.unwrap(), 1);
    assert_eq!(engines.status()[0].away, None);
    let refused = health.until_there(async || Err::<(), _>(Error::invalid("wrong password"))).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_was_sent_before_does_not_bring_a_system_back() {
    let engines = Engines::new(Patience::Wait, Arc::new(SystemClock));
    let probe: Probe = Arc::new(|| Box::pin(async { Ok(()) }));
    let health = engines.add("topics", "kafka", "broker:9092", Some(probe));
    _ = health.observe::<()>(Err(Error::unavailable("refused")));
    health.observe_reader(Ok(1)).unwrap();
    assert!(engines.status()[0].away.is_some(), "these records may have been on the way before");
    health.ask().await;
    assert_eq!(engines.status()[0].away, None);
}
