use super::*;

#[test]
fn a_row_of_the_table_is_a_figure_and_other_lines_are_none() {
    let text = "# Title\n\n| figure | value | query |\n|---|---|---|\n| late rows | 0 | `select count(*) from system.late_rows` |\n";
    let late = Figure { name: "late rows".into(), value: "0".into(), query: "select count(*) from system.late_rows".into() };
    assert_eq!(parse(text), [late]);
}
