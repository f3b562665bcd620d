use super::*;

#[test]
fn what_may_pass_is_waited_for_and_what_is_wrong_is_not() {
    for state in ["57P01", "57P03", "08006", "28P01", "53300", "40P01", "55P03", "57014", "25006", "42P05"] {
        assert_eq!(kind_of_state(state), ErrorKind::Unavailable, "{state}");
    }
    for state in ["23505", "22021", "22P02", "42501", "42703", "3F000"] {
        assert_eq!(kind_of_state(state), ErrorKind::InvalidInput, "{state}");
    }
    assert_eq!(kind_of_state("53100"), ErrorKind::Exhausted);
    assert_eq!(kind_of_state("42P01"), ErrorKind::NotFound);
    assert_eq!(kind_of_state("XX001"), ErrorKind::Corrupt);
    assert_eq!(kind_of_state("XX000"), ErrorKind::Internal);
}
