use super::*;

fn refused(from: &str, to: &str, development: bool) -> bool {
    refuse(&Edge { from, to, development }).is_some()
}

#[test]
fn adapters_know_core_and_no_sibling() {
    assert!(!refused("millstream-adapters", "millstream-core", false));
    assert!(refused("millstream-adapters", "millstream-broker", false));
    assert!(refused("millstream-adapters", "millstream-broker", true));
}

#[test]
fn core_knows_none_of_ours_and_no_datafusion() {
    assert!(refused("millstream-core", "millstream-pipeline", false));
    assert!(refused("millstream-core", "datafusion", false));
    assert!(refused("millstream-core", "datafusion-common", false));
    assert!(!refused("millstream-core", "arrow", false));
}

#[test]
fn the_testkit_is_for_tests() {
    assert!(!refused("millstream-broker", "millstream-testkit", true));
    assert!(refused("millstream-broker", "millstream-testkit", false));
}

#[test]
fn a_driver_stays_behind_its_adapter() {
    assert!(refused("millstream-engine", "rdkafka", false));
    assert!(refused("millstream", "fjall", false));
    assert!(!refused("millstream-adapters", "rdkafka", false));
}
