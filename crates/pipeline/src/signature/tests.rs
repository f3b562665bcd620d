#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

fn signature(parts: &[(&str, Scope, &str)]) -> Signature {
    let mut signature = Signature { version: VERSION, parts: Vec::new() };
    parts.iter().for_each(|(name, scope, text)| signature.add(*scope, *name, *text));
    signature
}

#[test]
fn changes_name_the_part_and_say_what_it_decides() {
    let before = signature(&[("filter", Scope::State, "(a > 1)"), ("having", Scope::Result, "(n > 1)"), ("same", Scope::State, "x")]);
    let now = signature(&[("filter", Scope::State, "(a > 2)"), ("same", Scope::State, "x"), ("column n", Scope::Result, "count(1)")]);
    let changes: Vec<_> = before.changes(&now).iter().map(|c| format!("{:?}: {c}", c.scope)).collect();
    assert_eq!(
        changes,
        ["State: filter was (a > 1), and is (a > 2)", "Result: column n is new: count(1)", "Result: having is gone: (n > 1)",]
    );
    assert!(before.changes(&before).is_empty());
}

#[test]
fn a_part_that_moves_behind_the_state_changes_the_state() {
    let (before, now) = (signature(&[("filter", Scope::State, "a")]), signature(&[("filter", Scope::Result, "a")]));
    assert_eq!(before.changes(&now)[0].scope, Scope::State);
    assert_eq!(now.changes(&before)[0].scope, Scope::State);
}

#[test]
fn a_description_of_another_version_is_another_query() {
    let now = signature(&[("filter", Scope::Result, "a")]);
    let before = Signature { version: VERSION + 1, ..now.clone() };
    let changes = before.changes(&now);
    assert_eq!(changes[0].scope, Scope::State);
    assert_eq!(changes[0].to_string(), "the description of the query was version 3, and is version 2");
}

#[test]
fn a_signature_is_stored_as_it_is() {
    let now = signature(&[("filter", Scope::State, "(a > 'x')"), ("having", Scope::Result, "b")]);
    let text = serde_json::to_string(&now).unwrap();
    // For ever.
    assert_eq!(
        text,
        r#"{"version":2,"parts":[{"name":"filter","scope":"state","text":"(a > 'x')"},{"name":"having","scope":"result","text":"b"}]}"#
    );
    assert_eq!(serde_json::from_str::<Signature>(&text).unwrap(), now);
}

#[test]
fn a_signature_of_the_first_version_says_nothing_of_formats_and_all_of_the_rest() {
    let first =
        r#"{"version":1,"parts":[{"name":"filter","scope":"state","text":"(a > 'x')"},{"name":"having","scope":"result","text":"b"}]}"#;
    let first: Signature = serde_json::from_str(first).unwrap();
    let now = [("filter", Scope::State, "(a > 'x')"), ("having", Scope::Result, "b"), ("format", Scope::State, "sep ';'")];
    assert!(first.changes(&signature(&now)).is_empty());
    let changed = [("filter", Scope::State, "(a > 'y')"), ("format", Scope::State, "sep ';'")];
    let changed: Vec<_> = first.changes(&signature(&changed)).into_iter().map(|c| c.part).collect();
    assert_eq!(changed, ["filter", "having"]);
    // From the second version on, no format means that all is as it is by default.
    let second = Signature { version: VERSION, ..first };
    assert_eq!(second.changes(&signature(&now)).len(), 1);
}
