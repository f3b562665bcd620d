use std::collections::HashSet;

use super::*;

#[test]
fn jobs_are_chosen_by_name_and_keep_their_order() {
    let names = |given: &[&str]| {
        let given: Vec<String> = given.iter().map(|name| (*name).to_owned()).collect();
        chosen(&given).map(|jobs| jobs.iter().map(|job| job.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&["q5", "decode"]).unwrap(), ["decode", "q5"]);
    assert_eq!(names(&[]).unwrap().len(), JOBS.len());
    assert!(names(&["q6"]).unwrap_err().to_string().starts_with("there is no job q6; there are: decode, filter, "));
}

#[test]
fn no_two_jobs_are_called_the_same() {
    assert_eq!(JOBS.iter().map(|job| job.name).collect::<HashSet<_>>().len(), JOBS.len());
    assert_eq!(JOBS.iter().map(|job| job.what).collect::<HashSet<_>>().len(), JOBS.len());
}

#[test]
fn a_job_reads_topics_of_its_input_and_names_them_in_its_query() {
    for job in &JOBS {
        for table in job.reads {
            assert!(job.input.topic(table).is_ok(), "{}: {table}", job.name);
            assert!(job.query.contains(&format!("STREAM {table}")), "{}: {table}", job.name);
        }
    }
}

#[test]
fn joins_of_two_topics_read_the_rows_of_both() {
    let q3 = JOBS.iter().find(|job| job.name == "q3").unwrap();
    assert_eq!((q3.rows(1_000), q3.goal()), (80, 4.0));
    assert_eq!(JOBS[0].rows(1_000), 1_000);
}
