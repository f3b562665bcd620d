//! The variables of the environment that point Millstream and its tests to an instance.

use anyhow::{Result, bail};
use toml::{Table, Value};

use super::site::Site;

/// A line `export NAME=VALUE` for each, to be read by a shell.
pub fn lines(site: &Site) -> Result<String> {
    let mut lines = vec![line("MILLSTREAM_SERVICES", &site.file().display().to_string())];
    lines.extend(variables(site.table())?.iter().map(|(name, value)| line(name, value)));
    Ok(lines.join("\n"))
}

/// The settings of every section of `millstream.toml` as variables, `__` in place of the dot.
pub fn variables(sections: &Table) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (section, value) in sections.iter().filter(|(section, _)| *section != "services") {
        let Value::Table(settings) = value else { bail!("[{section}] is not a section") };
        flatten(&format!("MILLSTREAM_{}", section.to_uppercase()), settings, &mut variables);
    }
    Ok(variables)
}

fn flatten(prefix: &str, table: &Table, variables: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = format!("{prefix}__{}", key.to_uppercase());
        match value {
            Value::Table(inner) => flatten(&name, inner, variables),
            Value::String(text) => variables.push((name, text.clone())),
            other => variables.push((name, other.to_string())),
        }
    }
}

fn line(name: &str, value: &str) -> String {
    format!("export {name}='{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
