//! Systems that hold less than a flow had come to: it goes on from what they hold, whatever dies on the way there.

use millstream_core::{Epoch, ErrorKind, FlowId};
use millstream_testkit::faults::Call;

use crate::events::readings;
use crate::straight::check;
use crate::world::World;

/// The flow `hourly` had come to three epochs more than its table holds: as if that had been put back from a backup. The epoch that it holds.
async fn lose_three_epochs(world: &World) -> Epoch {
    let (store, flow) = (world.ports().checkpoints, FlowId::new("hourly"));
    let attempt = store.claim(&flow).await.unwrap();
    let holds = *store.epochs(&flow).await.unwrap().last().unwrap();
    let checkpoint = store.get(&flow, holds).await.unwrap().unwrap();
    for lost in 1..=3 {
        store.put(&flow, attempt, Epoch(holds.0 + lost), checkpoint.clone()).await.unwrap();
    }
    holds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_before_or_after_what_a_flow_forgets_is_made_up_for() {
    let world = World::with_epochs_of(10);
    let events = readings(300, 300);
    drop(world.engine().await);
    for (part, die) in [(100, 0), (200, 1), (300, 2)] {
        world.publish(&events[part - 100..part]).await;
        check(&world.run().await.unwrap(), &events[..part]).await;
        let holds = lose_three_epochs(&world).await;
        let so_far = |call| world.faults.calls(call) + 1;
        match die {
            0 => world.faults.fail(Call::ForgetAfter, so_far(Call::ForgetAfter), ErrorKind::Internal),
            1 => world.faults.fail_after(Call::ForgetAfter, so_far(Call::ForgetAfter), ErrorKind::Internal),
            // What it keeps it does not write again, and can't lose.
            _ => world.faults.fail(Call::Put, so_far(Call::Put), ErrorKind::Internal),
        }
        assert_eq!(world.run().await.is_err(), die < 2);
        check(&world.run().await.unwrap(), &events[..part]).await;
        world.faults.heal();
        let kept = world.ports().checkpoints.epochs(&FlowId::new("hourly")).await.unwrap();
        assert!(kept.contains(&holds) && !kept.contains(&Epoch(holds.0 + 3)), "{kept:?} around {holds}");
    }
}

/// The newest go first: what is left is what there was before they were put.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_in_the_middle_of_what_a_flow_forgets_is_made_up_for() {
    let world = World::with_epochs_of(10);
    let events = readings(301, 400);
    drop(world.engine().await);
    for (part, forgotten) in [(100, 0), (200, 1), (300, 2), (400, 3)] {
        world.publish(&events[part - 100..part]).await;
        check(&world.run().await.unwrap(), &events[..part]).await;
        let holds = lose_three_epochs(&world).await;
        let (store, flow) = (world.ports().checkpoints, FlowId::new("hourly"));
        let attempt = store.claim(&flow).await.unwrap();
        store.forget_after(&flow, attempt, Epoch(holds.0 + 3 - forgotten)).await.unwrap();
        check(&world.run().await.unwrap(), &events[..part]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_whose_flow_died_before_it_filled_it_anew_is_filled_anew() {
    let world = World::with_epochs_of(10);
    let events = readings(302, 300);
    drop(world.engine().await);
    world.publish(&events[..200]).await;
    check(&world.run().await.unwrap(), &events[..200]).await;
    world.ports().checkpoints.forget(&FlowId::new("high")).await.unwrap();
    world.publish(&events[200..]).await;
    check(&world.run().await.unwrap(), &events).await;
}
