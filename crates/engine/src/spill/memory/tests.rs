use futures::FutureExt as _;

use super::*;

fn held(memory: usize) -> Held {
    Held { memory, pinned: 0 }
}

#[test]
fn nobody_gives_back_while_there_is_enough() {
    assert_eq!(target(held(90), &[held(90), held(10)], 100), None);
}

#[test]
fn who_holds_more_than_an_even_share_comes_down_to_half_of_it() {
    let all = [held(90), held(20), held(0)];
    assert_eq!(target(held(90), &all, 100), Some(25), "who holds nothing has no share");
    assert_eq!(target(held(20), &all, 100), None);
    assert_eq!(target(held(101), &[held(101)], 100), Some(50));
}

#[test]
fn what_is_pinned_leaves_less_to_share() {
    let pinned = Held { memory: 60, pinned: 60 };
    let mixed = Held { memory: 55, pinned: 10 };
    assert_eq!(target(mixed, &[pinned, mixed], 100), Some(25));
    assert_eq!(target(pinned, &[pinned, mixed], 100), None, "there is nothing that it could give");
}

#[test]
fn somebody_gives_back_whenever_there_is_too_little_and_something_can_be_given() {
    for n in 1..6_usize {
        for seed in 0..200_usize {
            let one = |i: usize| Held { memory: (seed * 37 + i * 101) % 97, pinned: (seed * 13 + i * 29) % 20 };
            let all: Vec<Held> = (0..n).map(one).map(|h| Held { pinned: h.pinned.min(h.memory), ..h }).collect();
            let over = all.iter().map(|h| h.memory).sum::<usize>() > 100 && all.iter().any(|h| h.memory > h.pinned);
            assert_eq!(all.iter().any(|own| target(*own, &all, 100).is_some()), over, "{all:?}");
        }
    }
}

#[test]
fn a_share_that_is_dropped_holds_nothing() {
    let memory = StateMemory::new(100);
    let (a, b) = (memory.share(), memory.share());
    assert_eq!(a.hold(Held { memory: 80, pinned: 70 }), None);
    assert_eq!(b.hold(Held { memory: 60, pinned: 0 }), Some(7));
    assert_eq!((b.pinned_over(30), b.pinned_over(31)), (None, Some(101)));
    drop(a);
    assert_eq!(b.hold(Held { memory: 60, pinned: 0 }), None);
    assert_eq!(b.pinned_over(100), None);
}

/// Whether a flow that waits now would be woken.
fn is_woken(share: &MemoryShare) -> bool {
    share.pressed().now_or_never().is_some()
}

#[test]
fn a_flow_that_has_to_give_back_is_woken_though_it_only_waits_after_that_was_found() {
    let memory = StateMemory::new(100);
    let (large, small, last) = (memory.share(), memory.share(), memory.share());
    assert_eq!(large.hold(held(80)), None);
    assert_eq!(small.hold(held(10)), None);
    assert_eq!(last.hold(held(15)), None, "others have more");
    assert!(is_woken(&large), "it looked before there was too little");
    assert!(!is_woken(&large), "once is enough");
    assert!(!is_woken(&small) && !is_woken(&last), "they have nothing to give");
    assert_eq!(large.hold(held(80)), Some(16));
    assert!(!is_woken(&large), "who looks for itself isn't told");
}
