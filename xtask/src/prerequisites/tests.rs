use super::*;

/// A machine with these programs and libraries.
fn machine(has: &'static [&'static str]) -> impl Fn(Evidence) -> bool {
    move |evidence| match evidence {
        Evidence::Programs(programs) => programs.iter().any(|program| has.contains(program)),
        Evidence::Library(name) => has.contains(&name),
    }
}

#[test]
fn a_complete_machine_has_nothing_to_complain_about() {
    assert_eq!(complaint(|_| true), None);
}

#[test]
fn another_compiler_than_gnus_will_do() {
    assert_eq!(complaint(machine(&["clang", "clang++", "make", "pkg-config", "openssl"])), None);
}

#[test]
fn what_is_missing_is_one_line_with_the_command_that_brings_it() {
    let expected = "the build needs a C++ compiler and OpenSSL's headers; on Debian or Ubuntu: apt-get install -y g++ libssl-dev";
    assert_eq!(complaint(machine(&["gcc", "make", "pkg-config"])).as_deref(), Some(expected));
}
