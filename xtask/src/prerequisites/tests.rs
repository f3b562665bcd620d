use super::*;

#[test]
fn a_complete_machine_has_nothing_to_complain_about() {
    assert_eq!(complaint(|_| true), None);
}

#[test]
fn another_compiler_than_gnus_will_do() {
    assert_eq!(complaint(|program| ["clang", "clang++", "make"].contains(&program)), None);
}

#[test]
fn what_is_missing_is_one_line_with_the_command_that_brings_it() {
    let complaint = complaint(|program| program != "make" && program != "c++" && program != "g++" && program != "clang++");
    let expected = "the build needs a C++ compiler and make; on Debian or Ubuntu: apt-get install -y g++ make";
    assert_eq!(complaint.as_deref(), Some(expected));
}
