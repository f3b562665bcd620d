use std::io::{BufRead as _, BufReader, Write as _};

use super::*;

#[test]
fn a_programs_name_may_have_blanks_and_parentheses() {
    let text = "4711 (tmux: (1) x) S 12 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2\n";
    assert_eq!(parse_stat(text), Some(Stat { state: 'S', parent: 12, started_ticks: 987_654 }));
}

#[test]
fn another_process_of_the_same_number_is_not_taken_for_it() {
    let own = std::process::id();
    let ticks = stat(own).unwrap().started_ticks;
    assert!(is_alive(Process { pid: own, started_ticks: ticks }));
    assert!(!is_alive(Process { pid: own, started_ticks: ticks + 1 }));
}

#[test]
fn a_status_gives_resident_memory_in_bytes() {
    assert_eq!(resident("Name:\tjava\nVmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\n"), Some(2_097_152));
    assert_eq!(resident("Name:\tkthreadd\n"), None);
}

#[test]
fn memory_of_a_process_counts_its_children() {
    let mut shell = Command::new("sh").args(["-c", "cat; true"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let process = of_child(&shell).unwrap();
    let (mut input, output) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
    input.write_all(b"runs\n").unwrap();
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).unwrap();
    // What it has given back says that cat runs.
    assert_eq!(line, "runs\n");
    let own = resident(&std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap()).unwrap();
    assert!(resident_bytes(process) > own);
    drop(input);
    assert!(shell.wait().unwrap().success());
    assert_eq!(resident_bytes(process), 0);
}
