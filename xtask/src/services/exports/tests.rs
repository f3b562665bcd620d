use super::*;

#[test]
fn nested_settings_become_variables_with_two_underscores_for_the_dot() {
    let table: Table = "url = 'postgres://r@h/d'\npassword = { file = '/s/p' }\nports = [1, 2]".parse().unwrap();
    let mut variables = Vec::new();
    flatten("MILLSTREAM_POSTGRESQL", &table, &mut variables);
    variables.sort();
    let expected = [
        ("MILLSTREAM_POSTGRESQL__PASSWORD__FILE", "/s/p"),
        ("MILLSTREAM_POSTGRESQL__PORTS", "[1, 2]"),
        ("MILLSTREAM_POSTGRESQL__URL", "postgres://r@h/d"),
    ];
    assert_eq!(variables, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_shell_reads_a_value_with_quotes_as_it_was() {
    assert_eq!(line("A", "it's"), r"export A='it'\''s'");
}
