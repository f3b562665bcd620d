//! The one list of exceptions from the rules. It may only shrink: an entry that nothing needs any more is itself a finding.

use super::Finding;

/// A place that may break a rule, and why.
pub struct Exception {
    rule: &'static str,
    place: &'static str,
    #[expect(dead_code, reason = "it is written for the reader of this list")]
    why: &'static str,
}

/// Every exception there is.
const EXCEPTIONS: [Exception; 0] = [];

/// Takes the excepted findings out, and adds one for each exception that excepts nothing.
pub fn apply(findings: Vec<Finding>) -> Vec<Finding> {
    apply_list(findings, &EXCEPTIONS)
}

fn apply_list(findings: Vec<Finding>, exceptions: &[Exception]) -> Vec<Finding> {
    let covers = |exception: &Exception, finding: &Finding| exception.rule == finding.rule && exception.place == finding.place;
    let unused = exceptions.iter().filter(|exception| !findings.iter().any(|finding| covers(exception, finding)));
    let stale: Vec<_> = unused
        .map(|exception| Finding::new("stale-exception", exception.place, format!("keeps {} now: take it off the list", exception.rule)))
        .collect();
    let mut left: Vec<_> = findings.into_iter().filter(|finding| !exceptions.iter().any(|e| covers(e, finding))).collect();
    left.extend(stale);
    left
}

#[cfg(test)]
mod tests;
