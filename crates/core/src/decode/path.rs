//! A part of a JSON text by its path: Spark's `get_json_object`, for paths without wildcards.

use super::scan::{Malformed, Scanner};
use crate::encode::json_string;

/// A path such as `$.legs[0].from` or `$['from']`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

impl JsonPath {
    /// Understands a path; the error says what it can't hold.
    pub fn try_new(text: &str) -> Result<Self, String> {
        let mut rest = text.strip_prefix('$').ok_or("it does not begin with $")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { steps })
    }

    /// What stands there: the content of a string, the JSON of anything else. `None` where nothing does, or `null`, or the text isn't JSON.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<String> {
        let mut scanner = Scanner::new(text);
        scanner.skip_whitespace();
        let (start, end) = find(&self.steps, &mut scanner).ok().flatten()?;
        rendered(text.get(start..end)?)
    }
}

fn step(text: &str) -> Result<(Step, &str), String> {
    const WILDCARD: &str = "wildcards are not supported yet: read the value with from_json(), and explode() it";
    if let Some(rest) = text.strip_prefix("['") {
        let (name, after) = rest.split_once("']").ok_or("a bracket is not closed")?;
        return if name == "*" { Err(WILDCARD.to_owned()) } else { Ok((Step::Member(name.to_owned()), after)) };
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (index, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
        return match index.parse() {
            Ok(index) => Ok((Step::Item(index), after)),
            Err(_) if index == "*" => Err(WILDCARD.to_owned()),
            Err(_) => Err(format!("[{index}] is no place in an array")),
        };
    }
    let rest = text.strip_prefix('.').ok_or_else(|| format!("'{text}' begins neither with a dot nor with a bracket"))?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    match rest.split_at(end) {
        ("", _) => Err("a name is missing behind a dot".to_owned()),
        ("*", _) => Err(WILDCARD.to_owned()),
        (name, after) => Ok((Step::Member(name.to_owned()), after)),
    }
}

/// The place of what `steps` lead to from the value at the cursor, which is passed over whole.
fn find(steps: &[Step], scanner: &mut Scanner<'_>) -> Result<Option<(usize, usize)>, Malformed> {
    let start = scanner.position();
    let Some((step, rest)) = steps.split_first() else {
        scanner.skip_value(1)?;
        return Ok(Some((start, scanner.position())));
    };
    let mut found = None;
    match (step, scanner.peek()) {
        (Step::Member(name), Some(b'{')) => {
            scanner.eat(b'{');
            scanner.skip_whitespace();
            let mut more = !scanner.eat(b'}');
            while more {
                let token = scanner.string()?;
                let is_it =
                    if token.escaped { scanner.unescape(token)? == *name } else { scanner.slice(token.start, token.end) == name.as_str() };
                scanner.colon()?;
                if is_it && found.is_none() {
                    found = find(rest, scanner)?;
                } else {
                    scanner.skip_value(1)?;
                }
                more = scanner.another(b'}')?;
            }
        }
        (Step::Item(index), Some(b'[')) => {
            scanner.eat(b'[');
            scanner.skip_whitespace();
            let mut at = 0;
            let mut more = !scanner.eat(b']');
            while more {
                if at == *index {
                    found = find(rest, scanner)?;
                } else {
                    scanner.skip_value(1)?;
                }
                at += 1;
                more = scanner.another(b']')?;
            }
        }
        _ => scanner.skip_value(1)?,
    }
    Ok(found)
}

/// A value as Spark gives it: without white space, and with no more escapes than JSON needs.
fn rendered(value: &str) -> Option<String> {
    if value == "null" {
        return None;
    }
    if value.starts_with('"') {
        return serde_json::from_str(value).ok();
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(quote) = rest.find('"') {
        out.extend(rest[..quote].chars().filter(|c| !c.is_ascii_whitespace()));
        let end = string_end(&rest[quote..])? + quote;
        let content: String = serde_json::from_str(&rest[quote..end]).ok()?;
        out.push_str(&json_string(&content));
        rest = &rest[end..];
    }
    out.extend(rest.chars().filter(|c| !c.is_ascii_whitespace()));
    Some(out)
}

/// Where the string at the beginning ends, its quote included.
fn string_end(text: &str) -> Option<usize> {
    let mut scanner = Scanner::new(text);
    scanner.string().ok()?;
    Some(scanner.position())
}

#[cfg(test)]
mod tests;
