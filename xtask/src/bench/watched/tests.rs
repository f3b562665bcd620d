use super::*;

fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    shell
}

#[test]
fn lines_of_json_are_read_and_memory_is_seen() {
    let watched = watch(&mut shell("echo words; echo '{\"rows\":7}'"), Duration::from_secs(60)).unwrap();
    assert_eq!(watched.lines, [serde_json::json!({ "rows": 7 })]);
}

#[test]
fn a_failure_is_an_error() {
    assert!(watch(&mut shell("exit 3"), Duration::from_secs(60)).is_err());
}

#[test]
fn a_program_whose_time_is_over_ends_with_its_children_and_keeps_what_it_printed() {
    // What it started holds its stdout open: reading ends only when both are gone.
    let watched = watch(&mut shell("echo '{\"rows\":1}'; sleep 1000; true"), Duration::from_secs(3)).unwrap();
    assert_eq!(watched.lines, [serde_json::json!({ "rows": 1 })]);
    assert!(watched.peak_bytes > 0);
}
