use super::*;

#[test]
fn a_crate_is_used_as_a_path_or_in_a_use_and_not_in_another_name() {
    assert!(mentions("use bytes::Bytes;", "bytes"));
    assert!(mentions("let a = serde_json::json!(1);", "serde_json"));
    assert!(!mentions("let max_bytes: usize = bytes_of(x);", "bytes"));
    assert!(!mentions("", "bytes"));
}

#[test]
fn a_version_outside_of_the_workspace_is_found() {
    let manifest = "[lints]\nworkspace = true\n\n[dependencies]\nbytes.workspace = true\nrand = \"0.9\"\n";
    assert_eq!(form(Path::new("crates/core"), manifest).len(), 1);
}

#[test]
fn a_manifest_without_the_lints_is_found() {
    assert_eq!(form(Path::new("crates/core"), "[dependencies]\nbytes = { workspace = true, optional = true }\n").len(), 1);
}
