//! Epochs: each once, in order, whatever dies in between.

use millstream_core::ports::Isolation;
use millstream_core::{Attempt, Epoch, ErrorKind};
use tokio::task::JoinSet;

use super::{Port, changes, json, keyed, restarted, rows, sorted, values};
use crate::changes::Writer;
use crate::check::{CaseResult, Failure, refused};
use crate::generate::Changes;
use crate::harness::Harness;
use crate::{check, check_eq};

/// Its number is kept, though no record shows it.
pub async fn an_epoch_without_rows_counts(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut w) = keyed(h).await?;
    check_eq!(w.commit(&*port.sink, &[]).await?, 0, "an epoch without rows appends nothing");
    w.commit(&*port.sink, &changes(&rows("f", 2, 1))).await?;
    for _ in 0..3 {
        w.commit(&*port.sink, &[]).await?;
    }
    let port = restarted(h, port, &spec).await?;
    check_eq!(port.sink.begin(&w.flow, Attempt(2), "t").await?, Epoch(5), "epochs without rows are committed too");
    check_eq!(port.values("t", 1).await?, values("f", 2, 1), "the one record");
    Ok(())
}

/// Idempotence: an epoch that is committed already changes nothing, whatever is in the write, and succeeds.
pub async fn a_committed_epoch_changes_nothing_when_written_again(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut w) = keyed(h).await?;
    w.commit(&*port.sink, &changes(&rows("f", 1, 4))).await?;
    w.commit(&*port.sink, &changes(&rows("f", 2, 2))).await?;
    let before = port.values("t", 6).await?;
    for epoch in [2, 1] {
        let again = w.write(Epoch(epoch), &changes(&rows("f", 9, 30)), 10)?;
        check_eq!(port.sink.commit(again).await?, 0, "epoch {epoch} again appends nothing");
    }
    let port = restarted(h, port, &spec).await?;
    let mut later = Writer::begin(&*port.sink, &spec, "f", 2).await?;
    check_eq!(later.epoch, Epoch(2), "begin returns the last committed epoch");
    let again = later.write(Epoch(2), &changes(&rows("f", 2, 2)), 10)?;
    check_eq!(port.sink.commit(again).await?, 0, "the epoch again by a later attempt appends nothing");
    later.commit(&*port.sink, &changes(&rows("f", 3, 1))).await?;
    let expected = sorted([before, values("f", 3, 1)].concat());
    check_eq!(port.values("t", 7).await?, expected, "the topic is as before, and goes on");
    Ok(())
}

/// `InvalidInput`, and nothing of it shows.
pub async fn an_epoch_that_leaves_a_gap_is_refused_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (port, _, mut w) = keyed(h).await?;
    let gap = w.write(Epoch(2), &changes(&rows("f", 2, 3)), 10)?;
    refused(port.sink.commit(gap).await, ErrorKind::InvalidInput, "epoch 2 as the first")?;
    w.commit(&*port.sink, &changes(&rows("f", 1, 1))).await?;
    let gap = w.write(Epoch(3), &changes(&rows("f", 3, 3)), 10)?;
    refused(port.sink.commit(gap).await, ErrorKind::InvalidInput, "epoch 3 after 1")?;
    w.commit(&*port.sink, &changes(&rows("f", 2, 1))).await?;
    let expected = sorted([values("f", 1, 1), values("f", 2, 1)].concat());
    check_eq!(port.values("t", 2).await?, expected, "nothing of the refused epochs shows");
    Ok(())
}

/// Once a higher attempt began, a lower one is `Fenced`, also after a restart, and nothing of it shows.
pub async fn a_lower_attempt_is_fenced_and_leaves_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut zombie) = keyed(h).await?;
    zombie.commit(&*port.sink, &changes(&rows("f", 1, 2))).await?;
    let mut owner = Writer::begin(&*port.sink, &spec, "f", 3).await?;
    let late = || zombie.write(Epoch(2), &changes(&rows("zombie", 2, 9)), 10);
    refused(port.sink.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt")?;
    // Whatever it answers, a zombie that begins again must not lift the fence.
    let _ = port.sink.begin(&zombie.flow, Attempt(2), "t").await;
    refused(port.sink.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt, after a lower one tried to begin")?;
    let port = restarted(h, port, &spec).await?;
    refused(port.sink.commit(late()?).await, ErrorKind::Fenced, "a commit by a lower attempt, after a restart")?;
    owner.commit(&*port.sink, &changes(&rows("f", 2, 1))).await?;
    let expected = sorted([values("f", 1, 2), values("f", 2, 1)].concat());
    check_eq!(port.values("t", 3).await?, expected, "the owner's epochs, and nothing of the fenced ones");
    Ok(())
}

/// Epochs and fences are a flow's own, whatever it is called.
pub async fn flows_into_one_topic_have_epochs_of_their_own(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, mut f) = keyed(h).await?;
    let mut g = Writer::begin(&*port.sink, &spec, "a flow / with % odd \"letters\" é", 7).await?;
    f.commit(&*port.sink, &changes(&rows("f", 1, 2))).await?;
    f.commit(&*port.sink, &changes(&rows("f", 2, 2))).await?;
    g.commit(&*port.sink, &changes(&rows("g", 1, 2))).await?;
    let expected = sorted([values("f", 1, 2), values("f", 2, 2), values("g", 1, 2)].concat());
    check_eq!(port.values("t", 6).await?, expected, "the records of both flows");
    let port = restarted(h, port, &spec).await?;
    check_eq!(port.sink.begin(&f.flow, Attempt(2), "t").await?, Epoch(2), "flow f has committed two epochs");
    check_eq!(port.sink.begin(&g.flow, Attempt(8), "t").await?, Epoch(1), "the other has committed one");
    Ok(())
}

/// Commits of several flows beside each other.
pub async fn flows_that_commit_at_the_same_time_lose_nothing(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, _) = keyed(h).await?;
    let mut tasks = JoinSet::new();
    for flow in ["a", "b", "c"] {
        let (sink, spec) = (port.sink.clone(), spec.clone());
        tasks.spawn(async move {
            let mut w = Writer::begin(&*sink, &spec, flow, 1).await?;
            for epoch in 1..=8 {
                w.commit(&*sink, &changes(&rows(flow, epoch, 3))).await?;
            }
            Ok::<_, millstream_core::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| Failure::Broken(format!("a flow ends: {e}")))??;
    }
    let all = ["a", "b", "c"].into_iter().flat_map(|flow| (1..=8).flat_map(move |epoch| values(flow, epoch, 3)));
    check_eq!(port.values("t", 72).await?, sorted(all.collect()), "the records of every flow, each once");
    Ok(())
}

/// Lets what a dropped call has under way come to its end, or be given up. The death of a process does that by itself; here the process
/// lives on.
async fn settled(port: &Port, w: &Writer) -> CaseResult {
    port.sink.begin(&w.flow, w.attempt, "t").await?;
    Ok(())
}

/// A commit whose future is dropped leaves the whole epoch or nothing, where readers see whole epochs; else, committed again it leaves
/// each record once.
pub async fn a_dropped_commit_is_whole_or_can_be_finished(h: &dyn Harness<Port>) -> CaseResult {
    let (port, spec, w) = keyed(h).await?;
    let all = changes(&rows("f", 1, 500));
    {
        let mut commit = port.sink.commit(w.write(Epoch(1), &all, 50)?);
        let _ = futures::poll!(&mut commit);
    }
    settled(&port, &w).await?;
    let port = restarted(h, port, &spec).await?;
    let again = Writer::begin(&*port.sink, &spec, "f", 2).await?;
    check!(again.epoch.0 <= 1, "the last committed epoch is 0 or 1, not {}", again.epoch);
    let there = port.values("t", 0).await?;
    if port.sink.isolation() == Isolation::Epoch {
        check!(there.is_empty() || there.len() == 500, "epoch {} stands with {} of 500 records", again.epoch, there.len());
    }
    port.sink.commit(again.write(Epoch(1), &all, 50)?).await?;
    check_eq!(port.values("t", 500).await?, sorted(values("f", 1, 500)), "committed again, every record is there once");
    Ok(())
}

/// Commits that are given up at any point, and taken up by the next attempt as they were, leave every record once, in order.
pub async fn every_record_is_there_once_however_often_its_writer_dies(h: &dyn Harness<Port>) -> CaseResult {
    let (mut port, spec, mut w) = keyed(h).await?;
    let mut chance = Changes::seeded(17, 1);
    let mut attempt = 1;
    while w.epoch < Epoch(25) {
        let epoch = i64::try_from(w.epoch.0 + 1).unwrap_or(0);
        let some = changes(&rows("f", epoch, epoch % 5));
        if chance.below(2) == 0 {
            w.commit(&*port.sink, &some).await?;
            continue;
        }
        {
            let mut commit = port.sink.commit(w.write(w.epoch.next(), &some, 2)?);
            for _ in 0..chance.below(12) {
                if futures::poll!(&mut commit).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        if chance.below(3) == 0 {
            settled(&port, &w).await?;
            port = restarted(h, port, &spec).await?;
        }
        attempt += 1;
        let next = Writer::begin(&*port.sink, &spec, "f", attempt).await?;
        let as_it_was = next.epoch == w.epoch || next.epoch == w.epoch.next();
        check!(as_it_was, "attempt {attempt} finds epoch {} after {}", next.epoch, w.epoch);
        w = next;
    }
    let expected: Vec<String> = (1..=25).flat_map(|epoch| values("f", epoch, epoch % 5)).collect();
    let found = port.read("t", expected.len()).await?;
    let texts = |records: &[millstream_core::ports::Record]| -> Vec<String> {
        records.iter().map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned()).collect()
    };
    for (partition, records) in found.iter().enumerate() {
        let there = texts(records);
        let in_order: Vec<String> = expected.iter().filter(|value| there.contains(value)).cloned().collect();
        check_eq!(there, in_order, "partition {partition} has its records once, in the order of their epochs");
    }
    let all = sorted(found.iter().flat_map(|records| texts(records)).collect());
    check_eq!(all, sorted(expected), "every record of 25 epochs once, in {attempt} attempts");
    Ok(())
}

/// Records and epochs are durable when a commit returns.
pub async fn what_was_committed_survives_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let (mut port, spec, mut w) = keyed(h).await?;
    for epoch in 1..=9 {
        w.commit(&*port.sink, &changes(&rows("f", epoch, 2))).await?;
        if epoch % 3 == 0 {
            port = restarted(h, port, &spec).await?;
            w = Writer::begin(&*port.sink, &spec, "f", epoch.unsigned_abs()).await?;
            check_eq!(w.epoch, Epoch(epoch.unsigned_abs()), "the epochs go on after a restart");
            let expected = (1..=epoch).flat_map(|e| (0..2).map(move |id| json("f", e, id)));
            let count = usize::try_from(epoch * 2).unwrap_or(0);
            check_eq!(port.values("t", count).await?, sorted(expected.collect()), "all records are there after a restart");
        }
    }
    Ok(())
}
