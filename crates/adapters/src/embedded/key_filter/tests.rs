use super::*;

fn key(n: u64) -> Vec<u8> {
    [b"some partition", n.to_be_bytes().as_slice()].concat()
}

#[test]
fn it_knows_every_key_and_takes_few_others_for_known() {
    let mut filter = KeyFilter::Ready(Layers::default());
    for n in 0..400_000 {
        filter.add(&key(n));
    }
    assert!((0..400_000).all(|n| !filter.is_surely_new(&key(n))));
    let false_alarms = (1_000_000..1_100_000).filter(|n| !filter.is_surely_new(&key(*n))).count();
    assert!(false_alarms < 2_000, "{false_alarms} of 100,000 new keys are taken for known");
}

#[test]
fn a_table_that_outgrows_it_goes_without() {
    let mut layers = Layers(vec![Layer { blocks: vec![[0; WORDS_A_BLOCK]], room: 0 }, Layer::new(1), Layer::new(1), Layer::new(1)]);
    assert!(layers.add(b"a"));
    let mut filter = KeyFilter::Ready(layers);
    filter.add(b"b");
    assert!(matches!(filter, KeyFilter::Without));
    assert!(!filter.is_surely_new(b"c"));
    assert!(!KeyFilter::Unread.is_surely_new(b"c"));
}
