//! A part of a JSON text by its path: Spark's `get_json_object`, Hive's rules for wildcards included (Spark 4.1,
//! `GetJsonObjectEvaluator`).

use super::scan::{DEPTH_MAX, Malformed, Scanner};
use crate::encode::json_string;

/// A path such as `$.legs[0].from`, `$['from']` or `$.legs[*].from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    AllItems,
}

/// How values are written where the path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// A string by its content.
    Raw,
    /// As JSON.
    Quoted,
    /// As JSON, and an array by its items.
    Flat,
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

    /// What stands there: the content of a string, the JSON of anything else; of a wildcard, what its one match is, or an array of its
    /// matches. `None` where nothing does, or `null`, or the text isn't JSON.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<String> {
        let mut scanner = Scanner::new(text);
        scanner.skip_whitespace();
        let mut found = Vec::new();
        let is_there = write(&self.steps, &mut scanner, 0, Style::Raw, &mut found).ok()?;
        is_there.then(|| found.join(","))
    }
}

fn step(text: &str) -> Result<(Step, &str), String> {
    if let Some(rest) = text.strip_prefix("['") {
        let (name, after) = rest.split_once("']").ok_or("a bracket is not closed")?;
        return Ok((member(name)?, after));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (index, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
        return match index.parse() {
            Ok(index) => Ok((Step::Item(index), after)),
            Err(_) if index == "*" => Ok((Step::AllItems, after)),
            Err(_) => Err(format!("[{index}] is no place in an array")),
        };
    }
    let rest = text.strip_prefix('.').ok_or_else(|| format!("'{text}' begins neither with a dot nor with a bracket"))?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    match rest.split_at(end) {
        ("", _) => Err("a name is missing behind a dot".to_owned()),
        (name, after) => Ok((member(name)?, after)),
    }
}

fn member(name: &str) -> Result<Step, String> {
    match name {
        "*" => {
            Err("in Spark a wildcard for the members of an object finds nothing: name the member, or write [*] for the items of an array"
                .to_owned())
        }
        name => Ok(Step::Member(name.to_owned())),
    }
}

/// Adds to `out` what `steps` lead to from the value at the cursor, which lies `depth` deep and is passed over whole. Whether that is anything.
fn write(steps: &[Step], scanner: &mut Scanner<'_>, depth: u32, style: Style, out: &mut Vec<String>) -> Result<bool, Malformed> {
    match (steps, scanner.peek()) {
        (_, Some(b'{' | b'[')) if depth >= DEPTH_MAX => scanner.malformed("values are nested too deep"),
        ([], Some(b'[')) if style == Style::Flat => items(scanner, |_, scanner| write(&[], scanner, depth + 1, style, out)),
        ([], _) => {
            let start = scanner.position();
            scanner.skip_value(depth)?;
            let value = written(scanner.slice(start, scanner.position()), style);
            out.extend(value.clone());
            Ok(value.is_some())
        }
        ([Step::Member(name), rest @ ..], Some(b'{')) => {
            scanner.eat(b'{');
            scanner.skip_whitespace();
            let mut found = false;
            let mut more = !scanner.eat(b'}');
            while more {
                let token = scanner.string()?;
                let is_it =
                    if token.escaped { scanner.unescape(token)? == *name } else { scanner.slice(token.start, token.end) == name.as_str() };
                scanner.colon()?;
                // A member that is null is none; an item of an array that is null is the text `null`.
                if is_it && !found && scanner.peek() != Some(b'n') {
                    found = write(rest, scanner, depth + 1, style, out)?;
                } else {
                    scanner.skip_value(depth + 1)?;
                }
                more = scanner.another(b'}')?;
            }
            Ok(found)
        }
        // Two wildcards, one in the other: the items of all arrays in one.
        ([Step::AllItems, Step::AllItems, rest @ ..], Some(b'[')) => {
            let mut inner = Vec::new();
            let found = items(scanner, |_, scanner| write(rest, scanner, depth + 1, Style::Flat, &mut inner))?;
            out.push(array(&inner));
            Ok(found)
        }
        ([Step::AllItems, rest @ ..], Some(b'[')) if style == Style::Quoted => {
            let mut inner = Vec::new();
            let found = items(scanner, |_, scanner| write(rest, scanner, depth + 1, style, &mut inner))?;
            out.push(array(&inner));
            Ok(found)
        }
        // One match is no array.
        ([Step::AllItems, rest @ ..], Some(b'[')) => {
            let style = if style == Style::Raw { Style::Quoted } else { style };
            let (mut inner, mut matches) = (Vec::new(), 0_usize);
            items(scanner, |_, scanner| {
                let found = write(rest, scanner, depth + 1, style, &mut inner)?;
                matches += usize::from(found);
                Ok(found)
            })?;
            match matches {
                0 => {}
                1 => out.push(inner.join(",")),
                _ => out.push(array(&inner)),
            }
            Ok(matches > 0)
        }
        ([Step::Item(index), rest @ ..], Some(b'[')) => {
            let style = if rest.first() == Some(&Step::AllItems) { Style::Quoted } else { style };
            items(scanner, |at, scanner| {
                if at == *index {
                    return write(rest, scanner, depth + 1, style, out);
                }
                scanner.skip_value(depth + 1)?;
                Ok(false)
            })
        }
        _ => {
            scanner.skip_value(depth)?;
            Ok(false)
        }
    }
}

/// Hands each item of the array at the cursor to `each`, and says whether it found anything in any of them.
fn items<'a>(
    scanner: &mut Scanner<'a>,
    mut each: impl FnMut(usize, &mut Scanner<'a>) -> Result<bool, Malformed>,
) -> Result<bool, Malformed> {
    scanner.eat(b'[');
    scanner.skip_whitespace();
    let (mut found, mut at) = (false, 0);
    let mut more = !scanner.eat(b']');
    while more {
        found |= each(at, scanner)?;
        at += 1;
        more = scanner.another(b']')?;
    }
    Ok(found)
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// A value as Spark gives it: without white space, and with no more escapes than JSON needs.
fn written(value: &str, style: Style) -> Option<String> {
    if style == Style::Raw && value.starts_with('"') {
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
