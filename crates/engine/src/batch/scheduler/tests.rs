#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_testkit::tables::event;
use millstream_testkit::{Row, row, rows};
use tokio::task::JoinSet;

use super::*;
use crate::catalog::fixture::{World, daily_job, job};

const FIVE_MINUTES: Duration = Duration::from_secs(300);

async fn scheduler(world: &World) -> Scheduler {
    Scheduler::open(&world.pipeline, world.ports.clone(), world.references.clone()).await.unwrap()
}

/// `daily` every five minutes, and `summary`, which reads it, at the same times.
async fn world() -> World {
    World::with_jobs(async |pipeline| {
        let sql = "SELECT carrier, max(day), sum(flights), max(delay) FROM daily GROUP BY carrier";
        vec![daily_job(pipeline, Some("*/5 * * * *")).await, job(pipeline, "summary", Some("*/5 * * * *"), &["daily"], sql).await]
    })
    .await
}

fn daily_rows() -> Vec<Row> {
    vec![row!["EWR", rows::date(1), 2_i64, 3.0], row!["JFK", rows::date(1), 1_i64, 1.0]]
}

async fn depart_three(world: &World) {
    world.depart("f", &[event("EWR", 1, 10, 1, 4), event("EWR", 1, 20, 2, 8), event("JFK", 1, 20, 3, 2)]).await;
}

fn brief(runs: &[JobRun]) -> Vec<(&str, u64, &str, JobRunState)> {
    runs.iter().map(|r| (r.report.as_str(), r.run, r.trigger.as_str(), r.state)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_publishes_the_report_and_writes_down_how() {
    let world = world().await;
    depart_three(&world).await;
    let scheduler = scheduler(&world).await;
    let run = scheduler.request("daily").await.unwrap();
    assert_eq!(run.error, None);
    assert_eq!((run.run, run.state, run.rows, run.removed), (1, JobRunState::Succeeded, Some(2), Some(0)));
    assert_eq!(run.input.as_deref(), Some(r#"{"epochs":{"departures":{"f":1}},"read":"snapshot"}"#));
    assert_eq!(world.report("daily").await, daily_rows());
    assert_eq!(world.ports.system.runs().await.unwrap(), [run]);
    assert_eq!(scheduler.request("departures").await.unwrap_err().kind(), millstream_core::ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn due_jobs_run_by_the_clock_each_after_what_it_reads() {
    let world = world().await;
    depart_three(&world).await;
    let scheduler = scheduler(&world).await;
    let (shutdown, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let (running, token) = (scheduler.clone(), shutdown.clone());
    tasks.spawn(async move { running.run(token).await });
    world.clock.until_sleepers(1).await;
    assert_eq!(world.ports.system.runs().await.unwrap(), []);
    for passed in 1..=5 {
        world.clock.advance(Duration::from_secs(60));
        while passed == 5 && scheduler.status()[1].last_success.is_none() {
            tokio::task::yield_now().await;
        }
        world.clock.until_sleepers(1).await;
    }
    let runs = world.ports.system.runs().await.unwrap();
    assert_eq!(brief(&runs), [("daily", 1, "schedule", JobRunState::Succeeded), ("summary", 1, "schedule", JobRunState::Succeeded)]);
    assert_eq!(world.report("summary").await.len(), 2);
    assert_eq!(scheduler.status()[0].next_run, Some(minute(10)));
    shutdown.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

/// So many minutes after the clock's start.
fn minute(minutes: u64) -> Timestamp {
    millstream_testkit::ManualClock::START.plus(Duration::from_secs(60 * minutes))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_by_a_run_that_began_after_it_and_waiting_requests_share_one() {
    let world = world().await;
    let scheduler = scheduler(&world).await;
    world.store.gate.forget_permits(world.store.gate.available_permits());
    let mut requests = JoinSet::new();
    let first = scheduler.clone();
    requests.spawn(async move { (0, first.request("daily").await.unwrap()) });
    while !scheduler.status()[0].running {
        tokio::task::yield_now().await;
    }
    for n in 1..=3 {
        let waiting = scheduler.clone();
        requests.spawn(async move { (n, waiting.request("daily").await.unwrap()) });
    }
    // The waiting requests have taken their tickets once their tasks stand in line.
    while scheduler.inner.tasks.len() < 4 {
        tokio::task::yield_now().await;
    }
    depart_three(&world).await;
    world.store.gate.add_permits(1_000);
    let mut answers = requests.join_all().await;
    answers.sort_by_key(|(n, _)| *n);
    assert_eq!(answers[0].1.run, 1);
    assert!(answers[1..].iter().all(|(_, run)| run.run == 2 && run.rows == Some(2)), "{answers:?}");
    assert_eq!(world.ports.system.runs().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_keeps_the_old_report_and_shows_why() {
    let world = World::with_jobs(async |pipeline| {
        // Two rows of one primary key as soon as a carrier has two flights.
        vec![job(pipeline, "daily", None, &["departures"], "SELECT origin, day, id, amount FROM departures").await]
    })
    .await;
    world.depart("f", &[event("EWR", 1, 10, 1, 4)]).await;
    let scheduler = scheduler(&world).await;
    assert_eq!(scheduler.request("daily").await.unwrap().state, JobRunState::Succeeded);
    let good = world.report("daily").await;
    world.depart("g", &[event("EWR", 1, 20, 2, 8)]).await;
    let failed = scheduler.request("daily").await.unwrap();
    assert_eq!(failed.state, JobRunState::Failed);
    let status = &scheduler.status()[0];
    assert_eq!(status.last_error.as_ref().map(|(_, e)| e.clone()), failed.error);
    assert_eq!((status.rows, status.running, status.next_run), (Some(1), false, None));
    assert_eq!(world.report("daily").await, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_its_process_left_behind_has_failed_and_is_made_up_for() {
    let world = world().await;
    let start = minute(0);
    let mut run = JobRun {
        report: "daily".to_owned(),
        run: 8,
        trigger: "schedule".to_owned(),
        state: JobRunState::Succeeded,
        started: start,
        ended: Some(start.plus(Duration::from_secs(2))),
        rows: Some(17),
        removed: Some(0),
        input: None,
        error: None,
    };
    world.ports.system.record_run(&run).await.unwrap();
    world.clock.advance(FIVE_MINUTES + Duration::from_secs(1));
    run = JobRun { run: 9, state: JobRunState::Running, started: minute(5), ended: None, rows: None, ..run };
    world.ports.system.record_run(&run).await.unwrap();
    let scheduler = scheduler(&world).await;
    let runs = world.ports.system.runs().await.unwrap();
    assert_eq!((runs[1].state, runs[1].error.as_deref()), (JobRunState::Failed, Some("the process ended")));
    let status = &scheduler.status()[0];
    assert_eq!((status.rows, status.last_duration), (Some(17), Some(Duration::from_secs(2))));
    assert_eq!(status.next_run, Some(minute(5)), "it is due at once");
    assert_eq!(scheduler.request("daily").await.unwrap().run, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_missed_while_the_process_was_down_are_made_up_for_once() {
    let world = world().await;
    let opened = scheduler(&world).await;
    opened.request("daily").await.unwrap();
    drop(opened);
    world.clock.advance(FIVE_MINUTES * 10);
    let again = scheduler(&world).await;
    let (shutdown, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let (running, token) = (again.clone(), shutdown.clone());
    tasks.spawn(async move { running.run(token).await });
    world.clock.until_sleepers(1).await;
    let runs = world.ports.system.runs().await.unwrap();
    assert_eq!(brief(&runs), [("daily", 1, "request", JobRunState::Succeeded), ("daily", 2, "schedule", JobRunState::Succeeded)]);
    assert_eq!(again.status()[0].next_run, Some(minute(55)));
    shutdown.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_under_way_at_shutdown_fails_and_leaves_the_old_report() {
    let world = world().await;
    let scheduler = scheduler(&world).await;
    world.store.gate.forget_permits(world.store.gate.available_permits());
    let (shutdown, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let (running, token, asking) = (scheduler.clone(), shutdown.clone(), scheduler.clone());
    tasks.spawn(async move { running.run(token).await });
    tasks.spawn(async move {
        let run = asking.request("daily").await.unwrap();
        assert_eq!((run.state, run.error.as_deref()), (JobRunState::Failed, Some("the process was stopped")));
    });
    while !scheduler.status()[0].running {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    tasks.join_all().await;
    assert_eq!(world.ports.reports.published_run("daily").await.unwrap(), None);
    assert_eq!(world.ports.system.runs().await.unwrap()[0].state, JobRunState::Failed);
}

#[test]
fn a_scheduled_run_waits_until_its_next_time_and_one_on_request_two_minutes() {
    let nightly = Some("0 2 * * *");
    assert_eq!(waits_until(Trigger::Schedule, nightly, minute(0)), minute(120));
    assert_eq!(waits_until(Trigger::Request, nightly, minute(0)), minute(2));
    assert_eq!(waits_until(Trigger::Request, None, minute(0)), minute(2));
}
