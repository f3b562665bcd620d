//! What the files of cases say about differences, and whether that is what was found.
//!
//! Below a case: `=> differs: REASON`, `=> refused: REASON` (by `check`), or `=> within N ulps: REASON`; `=> differs for STRING, INT:
//! REASON` is about these types of arguments only. A group in braces in a case's expression stands for any type.

use std::path::Path;

/// Something that a file of cases states about a case.
#[derive(Clone, Debug)]
pub struct Stated {
    /// The case's expression, with its groups in braces.
    expression: String,
    /// The types of arguments that it is about; `None`: all.
    types: Option<String>,
    pub kind: Kind,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Differs,
    Refused,
    WithinUlps(u64),
}

impl Stated {
    /// Whether it is about this expression over arguments of these types.
    pub fn is_about(&self, expression: &str, types: &str) -> bool {
        let same = match self.expression.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
            Some((before, after)) => {
                expression.len() >= before.len() + after.len() && expression.starts_with(before) && expression.ends_with(after)
            }
            None => self.expression == expression,
        };
        same && self.types.as_ref().is_none_or(|stated| stated == types)
    }

    /// As an error names it.
    pub fn text(&self) -> String {
        let of = self.types.as_ref().map(|t| format!(" for {t}")).unwrap_or_default();
        format!("{} ({:?}{of}: {})", self.expression, self.kind, self.reason)
    }
}

/// Compares what differs with its golden file, or writes that anew with `MILLSTREAM_BLESS=1`.
pub fn settle(golden: &Path, differences: &str) -> Result<(), String> {
    if std::env::var_os("MILLSTREAM_BLESS").is_some() {
        std::fs::write(golden, differences).unwrap();
        return Ok(());
    }
    if std::fs::read_to_string(golden).unwrap_or_default() == differences {
        return Ok(());
    }
    Err(format!("{} is not what differs (MILLSTREAM_BLESS=1 writes it anew):\n{differences}", golden.display()))
}

/// Everything that a file of cases states.
pub fn read(path: &Path) -> Vec<Stated> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut expression = "";
    let mut found = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("=> ") {
            Some(statement) => found.push(parse(statement, expression)),
            None if line.is_empty() || line.starts_with("# ") => {}
            None => expression = line.rsplit_once(" :: ").map_or(line, |(expression, _)| expression).trim(),
        }
    }
    found
}

fn parse(statement: &str, expression: &str) -> Stated {
    let (head, reason) = statement.split_once(": ").unwrap_or_else(|| panic!("no reason: {statement}"));
    let (word, types) = head.split_once(" for ").map_or((head, None), |(word, types)| (word, Some(types.to_owned())));
    let kind = match word.split(' ').collect::<Vec<_>>().as_slice() {
        ["differs"] => Kind::Differs,
        ["refused"] => Kind::Refused,
        ["within", count, "ulps"] => Kind::WithinUlps(count.parse().unwrap()),
        _ => panic!("nothing that can be stated: {statement}"),
    };
    Stated { expression: expression.to_owned(), types, kind, reason: reason.to_owned() }
}
