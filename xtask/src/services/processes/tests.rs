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
