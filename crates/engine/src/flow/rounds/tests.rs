use super::*;

#[test]
fn state_that_fits_into_a_part_is_written_whole_every_so_many_epochs() {
    let mut rounds = Rounds::default();
    let mut whole = Vec::new();
    for epoch in (1..200).map(Epoch) {
        if let Content::Part { first, mark, .. } = rounds.content(epoch) {
            assert_eq!((first, mark), (epoch, StateMark::default()));
            rounds = rounds.after_part(first, None);
            whole.push(epoch.0);
        }
    }
    assert_eq!(whole, [1, 65, 129, 193]);
}

#[test]
fn a_round_goes_on_until_it_is_whole_and_only_then_is_built_upon() {
    let rounds = Rounds::restored(Epoch(10));
    let Content::Part { first, mark, base } = rounds.content(Epoch(30)) else { panic!("a restored flow begins a round") };
    assert_eq!((first, base), (Epoch(30), Some(Epoch(10))));
    let rounds = rounds.after_part(first, Some(mark.clone()));
    let next = Content::Part { first: Epoch(30), mark, base: Some(Epoch(10)) };
    assert_eq!(rounds.content(Epoch(31)), next);
    let rounds = rounds.after_part(Epoch(30), None);
    assert_eq!(rounds.content(Epoch(32)), Content::Delta { base: Epoch(30) });
    assert_eq!(rounds.content(Epoch(93)), Content::Delta { base: Epoch(30) });
    assert!(matches!(rounds.content(Epoch(94)), Content::Part { first: Epoch(94), base: Some(Epoch(30)), .. }));
}

#[test]
fn a_part_is_small_beside_memory_and_no_round_is_endless() {
    assert_eq!(part_bytes(1_000, 512 << 20), 4 << 20);
    assert_eq!(part_bytes(1_000, 1 << 20), 64 << 10);
    assert_eq!(part_bytes(256 << 30, 512 << 20), 1 << 30);
    assert_eq!(part_bytes(0, 1), 1);
}
