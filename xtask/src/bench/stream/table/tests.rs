use super::*;

const MACHINE: &str = "2 cores";

fn spark(ratio: f64) -> Line {
    let (rates, rate_per_core) = (vec![200_000.0], Some(110_000.4));
    let (program, peak_bytes) = ("Spark".to_owned(), Some(3_456_000_000.0));
    Line { program, rates, remark: None, rate_per_core, peak_bytes, ratio: Some(ratio), goal: Some(10.0) }
}

#[test]
fn a_line_has_rates_memory_ratio_and_promise() {
    let mut table = Table::new(vec!["decode"], &["decode"], MACHINE, "");
    let line = table.add("decode", &spark(10.5)).unwrap();
    assert_eq!(line, "| decode | Spark | 200,000 | 110,000 | 3,456 MB | 10.50 | 10.00 |");
    let nothing = Line { program: "Spark".to_owned(), remark: Some("no micro-batch in 300 s".to_owned()), ..Line::default() };
    assert_eq!(table.add("decode", &nothing).unwrap(), "| decode | Spark | - (no micro-batch in 300 s) | - | - | - | - |");
    assert_eq!(table.add("q99", &nothing), None);
}

#[test]
fn what_is_under_its_goal_is_named() {
    let mut table = Table::new(vec!["decode", "q0"], &["decode", "q0"], MACHINE, "");
    table.add("decode", &spark(10.0));
    assert!(!table.text().contains("Under its goal"), "{}", table.text());
    table.add("q0", &spark(9.99));
    assert!(table.text().ends_with("\n\n**Under its goal:** q0, beside Spark: 9.99 of 10.00.\n"), "{}", table.text());
}

#[test]
fn lines_of_jobs_that_are_not_measured_stay_in_their_place() {
    let mut before = Table::new(vec!["decode", "q0"], &["decode", "q0"], MACHINE, "");
    before.add("decode", &spark(3.0));
    before.add("q0", &spark(4.0));
    let section = format!("{MACHINE}. Build\n\n{}", before.text());
    let mut after = Table::new(vec!["decode", "q0"], &["decode"], MACHINE, &section);
    after.add("decode", &spark(30.0));
    let ratios: Vec<_> = after.text().lines().filter_map(|line| Some(cells(line).get(5)?.to_owned().to_owned())).collect();
    assert_eq!(ratios, ["Millstream beside it", "30.00", "4.00"]);
    let elsewhere = Table::new(vec!["decode", "q0"], &["decode"], "64 cores", &section);
    assert!(!elsewhere.text().contains("4.00"), "{}", elsewhere.text());
}
