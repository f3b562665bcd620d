use super::*;

/// Stored data: a name that changes loses what stands under it.
#[test]
fn names_are_those_that_are_stored() {
    let flow = FlowId::new("f");
    let names = [
        (SystemProperty::Pipeline, "pipeline"),
        (SystemProperty::ReplayPending, "replay pending"),
        (SystemProperty::Log(&flow), "log of flow f"),
        (SystemProperty::MostVersions(&flow), "most versions of an epoch of flow f"),
        (SystemProperty::Replayed(&flow), "replayed dead letters of f"),
        (SystemProperty::Evicted("t"), "evicted t"),
        (SystemProperty::TopicProgress("t"), "topic progress t"),
    ];
    for (property, name) in names {
        assert_eq!(property.to_string(), name);
    }
}
