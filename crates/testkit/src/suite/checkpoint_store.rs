//! The contract of [`CheckpointStore`].

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use millstream_core::ports::CheckpointStore;
use millstream_core::{Attempt, Epoch, ErrorKind, FlowId};
use tokio::task::JoinSet;

use super::suite;
use crate::check::{CaseResult, Failure, refused};
use crate::harness::Harness;
use crate::{check, check_eq};

/// The port that the suite tests.
pub type Port = Arc<dyn CheckpointStore>;

suite!(
    "checkpoint store",
    Port,
    [
        claims_rise_from_one,
        concurrent_claims_are_all_different,
        claims_rise_across_restarts,
        a_checkpoint_is_read_back_byte_for_byte,
        an_epoch_without_a_checkpoint_is_none,
        a_later_attempt_replaces_a_checkpoint,
        epochs_are_listed_in_order,
        flows_are_separate,
        a_lower_attempt_can_neither_put_nor_prune,
        prune_keeps_what_it_is_told_to_keep,
        what_is_after_an_epoch_is_forgotten_and_the_rest_stays,
        forget_removes_checkpoints_and_keeps_the_attempt,
        checkpoints_survive_a_restart,
        flows_are_listed_by_name,
        a_dropped_put_happened_wholly_or_not_at_all,
    ]
);

fn flow(name: &str) -> FlowId {
    FlowId::new(name)
}

fn bytes(seed: usize, len: usize) -> Bytes {
    (0..len).map(|i| u8::try_from((i * 31 + seed * 7) % 256).unwrap_or(0)).collect()
}

fn epochs(numbers: &[u64]) -> Vec<Epoch> {
    numbers.iter().copied().map(Epoch).collect()
}

/// The first claim is 1, each next one greater.
pub async fn claims_rise_from_one(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    check_eq!(store.claim(&flow("a")).await?, Attempt(1), "the first attempt is 1");
    let mut last = Attempt(1);
    for _ in 0..5 {
        let next = store.claim(&flow("a")).await?;
        check!(next > last, "a claim ({next}) is greater than every one before ({last})");
        last = next;
    }
    check_eq!(store.claim(&flow("b")).await?, Attempt(1), "another flow has attempts of its own");
    Ok(())
}

/// Two processes that claim at the same time get different attempts.
pub async fn concurrent_claims_are_all_different(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.spawn(async move { store.claim(&flow("a")).await });
    }
    let mut attempts = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        attempts.insert(done.map_err(|e| Failure::Broken(format!("a claim ends: {e}")))??);
    }
    check_eq!(attempts.len(), 16, "no two claims return the same attempt");
    Ok(())
}

/// The attempt is durable.
pub async fn claims_rise_across_restarts(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let store = h.open().await?;
    let first = store.claim(&flow("a")).await?;
    let store = h.reopen(store).await?;
    let second = store.claim(&flow("a")).await?;
    check!(second > first, "a claim after a restart ({second}) is greater than the one before ({first})");
    refused(store.put(&flow("a"), first, Epoch(1), bytes(0, 3)).await, ErrorKind::Fenced, "a put by the attempt before the restart")?;
    Ok(())
}

/// Exactly as it was put.
pub async fn a_checkpoint_is_read_back_byte_for_byte(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let attempt = store.claim(&flow("a")).await?;
    for (epoch, len) in [0, 1, 255, 4_096, 3_000_000].into_iter().enumerate() {
        let epoch = Epoch(u64::try_from(epoch).unwrap_or(0) + 1);
        store.put(&flow("a"), attempt, epoch, bytes(len, len)).await?;
        let back = store.get(&flow("a"), epoch).await?;
        check!(back == Some(bytes(len, len)), "a checkpoint of {len} bytes is read back byte for byte");
    }
    Ok(())
}

/// What was never put is `None`.
pub async fn an_epoch_without_a_checkpoint_is_none(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    check_eq!(store.get(&flow("a"), Epoch(1)).await?, None, "an unknown flow has no checkpoint");
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[]), "an unknown flow has no epochs");
    let attempt = store.claim(&flow("a")).await?;
    store.put(&flow("a"), attempt, Epoch(2), bytes(2, 10)).await?;
    check_eq!(store.get(&flow("a"), Epoch(1)).await?, None, "an epoch that was never put has no checkpoint");
    check_eq!(store.get(&flow("a"), Epoch(3)).await?, None, "nor has the one after it");
    Ok(())
}

/// The next attempt's checkpoint stands in place of an earlier one's.
pub async fn a_later_attempt_replaces_a_checkpoint(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let first = store.claim(&flow("a")).await?;
    for epoch in 1..=4 {
        store.put(&flow("a"), first, Epoch(epoch), bytes(1, 100)).await?;
    }
    let second = store.claim(&flow("a")).await?;
    store.put(&flow("a"), second, Epoch(3), bytes(2, 50)).await?;
    check_eq!(store.get(&flow("a"), Epoch(3)).await?, Some(bytes(2, 50)), "the later attempt's checkpoint is read");
    check_eq!(store.get(&flow("a"), Epoch(2)).await?, Some(bytes(1, 100)), "the one before it stays");
    store.put(&flow("a"), second, Epoch(3), bytes(3, 60)).await?;
    check_eq!(store.get(&flow("a"), Epoch(3)).await?, Some(bytes(3, 60)), "the same attempt may put again");
    Ok(())
}

/// Epochs in the order of their numbers.
pub async fn epochs_are_listed_in_order(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let attempt = store.claim(&flow("a")).await?;
    for epoch in [300, 2, 10, 1, 256, 255] {
        store.put(&flow("a"), attempt, Epoch(epoch), bytes(0, 4)).await?;
    }
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[1, 2, 10, 255, 256, 300]), "epochs are in the order of their numbers");
    Ok(())
}

/// Flows whose names begin alike don't share anything.
pub async fn flows_are_separate(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let names = ["a", "ab", "a/1", "a.b", "A", "é"];
    for (i, name) in names.iter().enumerate() {
        let attempt = store.claim(&flow(name)).await?;
        store.put(&flow(name), attempt, Epoch(1), bytes(i, 20)).await?;
    }
    let attempt = store.claim(&flow("a")).await?;
    store.prune(&flow("a"), attempt, Epoch(9)).await?;
    for (i, name) in names.iter().enumerate().skip(1) {
        check_eq!(store.get(&flow(name), Epoch(1)).await?, Some(bytes(i, 20)), "flow {name} keeps its own checkpoint");
    }
    check_eq!(store.get(&flow("a"), Epoch(1)).await?, None, "flow a was pruned");
    Ok(())
}

/// After a claim a lower attempt is `Fenced`, and changes nothing.
pub async fn a_lower_attempt_can_neither_put_nor_prune(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let zombie = store.claim(&flow("a")).await?;
    store.put(&flow("a"), zombie, Epoch(1), bytes(1, 10)).await?;
    let owner = store.claim(&flow("a")).await?;
    refused(store.put(&flow("a"), zombie, Epoch(1), bytes(9, 10)).await, ErrorKind::Fenced, "a put by a lower attempt")?;
    refused(store.put(&flow("a"), zombie, Epoch(2), bytes(9, 10)).await, ErrorKind::Fenced, "a put of a new epoch by a lower attempt")?;
    refused(store.prune(&flow("a"), zombie, Epoch(9)).await, ErrorKind::Fenced, "a prune by a lower attempt")?;
    check_eq!(store.get(&flow("a"), Epoch(1)).await?, Some(bytes(1, 10)), "the refused calls changed nothing");
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[1]), "the refused put added no epoch");
    store.put(&flow("a"), owner, Epoch(2), bytes(2, 10)).await?;
    store.prune(&flow("a"), owner, Epoch(2)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[2]), "the owner goes on");
    Ok(())
}

/// `prune` removes what is before `keep_from`, and nothing else.
pub async fn prune_keeps_what_it_is_told_to_keep(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let attempt = store.claim(&flow("a")).await?;
    for epoch in 1..=6 {
        store.put(&flow("a"), attempt, Epoch(epoch), bytes(usize::try_from(epoch).unwrap_or(0), 10)).await?;
    }
    store.prune(&flow("a"), attempt, Epoch(4)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[4, 5, 6]), "the epochs before 4 are gone, 4 and later stay");
    check_eq!(store.get(&flow("a"), Epoch(4)).await?, Some(bytes(4, 10)), "the checkpoint of 4 is whole");
    check_eq!(store.get(&flow("a"), Epoch(3)).await?, None, "the checkpoint of 3 is gone");
    store.prune(&flow("a"), attempt, Epoch(1)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[4, 5, 6]), "pruning before the first changes nothing");
    store.put(&flow("a"), attempt, Epoch(2), bytes(2, 10)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[2, 4, 5, 6]), "an epoch that was removed can be put again");
    store.prune(&flow("a"), attempt, Epoch(4)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[4, 5, 6]), "and be removed again");
    Ok(())
}

/// `forget_after` removes what is after an epoch, and nothing else, unless a lower attempt asks for it.
pub async fn what_is_after_an_epoch_is_forgotten_and_the_rest_stays(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let zombie = store.claim(&flow("a")).await?;
    for name in ["a", "b"] {
        let attempt = store.claim(&flow(name)).await?;
        for epoch in [2, 3, 4, 255, 256] {
            store.put(&flow(name), attempt, Epoch(epoch), bytes(usize::try_from(epoch).unwrap_or(0), 10)).await?;
        }
    }
    refused(store.forget_after(&flow("a"), zombie, Epoch(2)).await, ErrorKind::Fenced, "a lower attempt that forgets")?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[2, 3, 4, 255, 256]), "the refused call changed nothing");
    let owner = store.claim(&flow("a")).await?;
    store.forget_after(&flow("a"), owner, Epoch(256)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[2, 3, 4, 255, 256]), "nothing is after the last epoch");
    store.forget_after(&flow("a"), owner, Epoch(3)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[2, 3]), "the epochs after 3 are gone, 3 and earlier stay");
    check_eq!(store.get(&flow("a"), Epoch(3)).await?, Some(bytes(3, 10)), "the checkpoint of 3 is whole");
    check_eq!(store.get(&flow("a"), Epoch(4)).await?, None, "the checkpoint of 4 is gone, whichever attempt put it");
    check_eq!(store.epochs(&flow("b")).await?, epochs(&[2, 3, 4, 255, 256]), "another flow keeps its own");
    store.put(&flow("a"), owner, Epoch(4), bytes(9, 10)).await?;
    let store = if h.abilities().keeps_data { h.reopen(store).await? } else { store };
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[2, 3, 4]), "it goes on after what is left");
    let last = store.claim(&flow("a")).await?;
    store.forget_after(&flow("a"), last, Epoch(0)).await?;
    store.forget_after(&flow("never seen"), Attempt(1), Epoch(0)).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[]), "all are after epoch 0");
    Ok(())
}

/// `forget` removes the checkpoints; a zombie is still fenced, and the next attempt is greater.
pub async fn forget_removes_checkpoints_and_keeps_the_attempt(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let zombie = store.claim(&flow("a")).await?;
    let owner = store.claim(&flow("a")).await?;
    store.put(&flow("a"), owner, Epoch(1), bytes(1, 10)).await?;
    store.put(&flow("a"), owner, Epoch(2), bytes(2, 10)).await?;
    store.forget(&flow("a")).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[]), "no checkpoint is left");
    check_eq!(store.get(&flow("a"), Epoch(2)).await?, None, "the last checkpoint is gone");
    refused(store.put(&flow("a"), zombie, Epoch(1), bytes(9, 10)).await, ErrorKind::Fenced, "a put by a zombie of the forgotten flow")?;
    let store = if h.abilities().keeps_data { h.reopen(store).await? } else { store };
    check!(store.claim(&flow("a")).await? > owner, "the next attempt is greater than the last one before `forget`");
    store.forget(&flow("never seen")).await?;
    Ok(())
}

/// What was put is found by the next process.
pub async fn checkpoints_survive_a_restart(h: &dyn Harness<Port>) -> CaseResult {
    if !h.abilities().keeps_data {
        return Err(Failure::skipped("it keeps nothing"));
    }
    let store = h.open().await?;
    let attempt = store.claim(&flow("a")).await?;
    for epoch in 1..=3 {
        store.put(&flow("a"), attempt, Epoch(epoch), bytes(usize::try_from(epoch).unwrap_or(0), 1_000)).await?;
    }
    store.prune(&flow("a"), attempt, Epoch(2)).await?;
    let store = h.reopen(store).await?;
    check_eq!(store.epochs(&flow("a")).await?, epochs(&[2, 3]), "the epochs are those of before the restart");
    check_eq!(store.get(&flow("a"), Epoch(3)).await?, Some(bytes(3, 1_000)), "a checkpoint is the same after a restart");
    check_eq!(store.flows().await?, [flow("a")], "the flow is listed after a restart");
    Ok(())
}

/// The flows that have checkpoints, by name.
pub async fn flows_are_listed_by_name(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    for name in ["b", "c", "a"] {
        let attempt = store.claim(&flow(name)).await?;
        store.put(&flow(name), attempt, Epoch(1), bytes(0, 1)).await?;
    }
    store.claim(&flow("claimed only")).await?;
    store.forget(&flow("c")).await?;
    let ours: Vec<_> = store.flows().await?.into_iter().filter(|f| ["a", "b", "c", "claimed only"].contains(&f.as_str())).collect();
    check_eq!(ours, [flow("a"), flow("b")], "flows with checkpoints are listed by name, and no others");
    Ok(())
}

/// A put whose future is dropped leaves the old checkpoint or the new one, whole.
pub async fn a_dropped_put_happened_wholly_or_not_at_all(h: &dyn Harness<Port>) -> CaseResult {
    let store = h.open().await?;
    let attempt = store.claim(&flow("a")).await?;
    store.put(&flow("a"), attempt, Epoch(1), bytes(1, 10_000)).await?;
    {
        let a = flow("a");
        let mut put = store.put(&a, attempt, Epoch(1), bytes(2, 20_000));
        let _ = futures::poll!(&mut put);
    }
    let store = if h.abilities().keeps_data { h.reopen(store).await? } else { store };
    let found = store.get(&flow("a"), Epoch(1)).await?;
    check!(found == Some(bytes(1, 10_000)) || found == Some(bytes(2, 20_000)), "a dropped put leaves the old or the new checkpoint");
    Ok(())
}
