use super::*;

fn heads(line: &str) -> Vec<String> {
    expand(line).unwrap().iter().map(Case::head).collect()
}

#[test]
fn a_line_without_types_is_one_case() {
    let cases = expand("1 / 0").unwrap();
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].rows, [Vec::<String>::new()]);
}

#[test]
fn groups_stand_for_their_members_in_every_place() {
    assert_eq!(heads("a + b :: fractional, INT | DATE, INT"), ["a + b :: FLOAT, INT", "a + b :: DOUBLE, INT", "a + b :: DATE, INT"]);
    assert_eq!(heads("CAST(a AS {fractional}) :: INT"), ["CAST(a AS FLOAT) :: INT", "CAST(a AS DOUBLE) :: INT"]);
}

#[test]
fn values_of_several_arguments_are_combined() {
    let cases = expand("a + b :: DECIMAL(10, 2) [1.00, 2.00], STRING ['x, y', '|']").unwrap();
    assert_eq!(cases[0].types, ["DECIMAL(10, 2)", "STRING"]);
    assert_eq!(cases[0].rows, [["1.00", "\"x, y\""], ["1.00", "\"|\""], ["2.00", "\"x, y\""], ["2.00", "\"|\""]]);
}

#[test]
fn an_unknown_type_is_an_error() {
    assert!(expand("a :: INTEGRAL").is_err());
}
