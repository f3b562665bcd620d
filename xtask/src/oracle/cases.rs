//! Files of cases, `expressions/*.cases`: expressions over arguments `a`, `b`, `c`, and the types of these.
//!
//! A line is `EXPRESSION :: TYPES | TYPES`, with a comma between the types of several arguments, or an expression alone. A group of
//! types (`numeric`) stands for each of its members, in braces inside the expression too: `CAST(a AS {any}) :: any`. A list of values
//! behind a type replaces the values that the type has anyway: `CAST(a AS INT) :: STRING ['1', 'x'] | DOUBLE [1.5]`. Lines that begin
//! with `=>` say where Millstream differs, and are the suite's; lines that begin with `#` are comments.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::values;

/// An expression over arguments of certain types, and the rows of arguments that it is evaluated over.
pub(super) struct Case {
    pub(super) expression: String,
    /// The type of `a`, of `b`, of `c`.
    pub(super) types: Vec<String>,
    /// One value for each argument, as the golden files spell it.
    pub(super) rows: Vec<Vec<String>>,
}

impl Case {
    /// What the case is called in the golden files.
    pub(super) fn head(&self) -> String {
        if self.types.is_empty() { self.expression.clone() } else { format!("{} :: {}", self.expression, self.types.join(", ")) }
    }
}

/// The name of the argument with this number.
pub(super) fn argument(number: usize) -> &'static str {
    ["a", "b", "c"].get(number).copied().unwrap_or("d")
}

/// All cases of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Case>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let mut cases = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with("# ") || line.starts_with("=> ") {
            continue;
        }
        let found = expand(line).with_context(|| format!("{}, line {}", path.display(), index + 1))?;
        cases.extend(found);
    }
    Ok(cases)
}

/// The cases that a line stands for.
fn expand(line: &str) -> Result<Vec<Case>> {
    let Some((expression, signatures)) = line.rsplit_once(" :: ") else {
        return Ok(vec![Case { expression: line.to_owned(), types: Vec::new(), rows: vec![Vec::new()] }]);
    };
    let mut cases = Vec::new();
    for expression in expressions(expression.trim())? {
        for signature in split(signatures, '|') {
            let arguments: Vec<_> = split(signature, ',').into_iter().map(parse_argument).collect::<Result<_>>()?;
            let most = values::most(arguments.len());
            let choices: Result<Vec<_>> = arguments.iter().map(|argument| argument.choices(most)).collect();
            for chosen in product(&choices?) {
                let types = chosen.iter().map(|(name, _)| name.clone()).collect();
                let lists: Vec<_> = chosen.into_iter().map(|(_, values)| values).collect();
                cases.push(Case { expression: expression.clone(), types, rows: product(&lists) });
            }
        }
    }
    Ok(cases)
}

/// The expression once for each member of the group in its braces.
fn expressions(expression: &str) -> Result<Vec<String>> {
    let Some((before, rest)) = expression.split_once('{').filter(|(_, rest)| rest.contains('}') && !rest.starts_with(char::is_numeric))
    else {
        return Ok(vec![expression.to_owned()]);
    };
    let (group, after) = rest.split_once('}').context("a brace is not closed")?;
    Ok(values::types(group).into_iter().map(|name| format!("{before}{name}{after}")).collect())
}

/// An argument: its type or group, and the values that the line gives it.
struct Argument<'a> {
    name: &'a str,
    values: Option<Vec<String>>,
}

impl Argument<'_> {
    /// Each type that it can have, with its values.
    fn choices(&self, most: usize) -> Result<Vec<(String, Vec<String>)>> {
        let mut choices = Vec::new();
        for name in values::types(self.name) {
            let own = values::of(name).with_context(|| format!("there is no type {name}"))?;
            let chosen = self.values.clone().unwrap_or_else(|| own.iter().take(most).map(|v| (*v).to_owned()).collect());
            choices.push((name.to_owned(), chosen));
        }
        Ok(choices)
    }
}

fn parse_argument(text: &str) -> Result<Argument<'_>> {
    let text = text.trim();
    let Some((name, list)) = text.split_once('[') else { return Ok(Argument { name: text, values: None }) };
    let Some(list) = list.strip_suffix(']') else { bail!("a list of values is not closed") };
    let values = split(list, ',').into_iter().map(|value| spelled(value.trim())).collect();
    Ok(Argument { name: name.trim(), values: Some(values) })
}

/// A value of a list as the golden files spell it: texts in double quotes.
fn spelled(value: &str) -> String {
    match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(text) => format!("\"{text}\""),
        None => value.to_owned(),
    }
}

/// The parts of `text` between `separator`s that stand in no quotes, brackets or parentheses.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ if letter == separator && depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default().trim());
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    parts
}

/// Every way to choose one of each list.
fn product<T: Clone>(lists: &[Vec<T>]) -> Vec<Vec<T>> {
    lists.iter().fold(vec![Vec::new()], |chosen, list| {
        let extended = chosen.iter().flat_map(|head| list.iter().map(|last| [head.as_slice(), std::slice::from_ref(last)].concat()));
        extended.collect()
    })
}

#[cfg(test)]
mod tests;
