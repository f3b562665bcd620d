//! Reading the configuration: defaults, then the file, then the environment, then flags; each layer overrides the ones before.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use millstream_core::{Error, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::keys::{NOT_SETTINGS, REAL_ENGINES, is_section, is_setting, nearest};

/// Every variable of the environment that begins like this is a setting; `__` stands for the dot.
pub const ENV_PREFIX: &str = "MILLSTREAM_";

/// Where settings may come from.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// `--config`: a file that must exist.
    pub file: Option<PathBuf>,
    /// The folder in which `millstream.toml` is looked for when there is no `file`.
    pub beside: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

/// The settings that count, and where each comes from.
pub struct Effective {
    /// The settings.
    pub config: Config,
    /// The layers, which know each value's origin.
    pub figment: Figment,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

impl Layers {
    /// Reads all layers and checks the result. Every error names the setting, where it stands, and what to do.
    pub fn load(&self) -> Result<Effective> {
        let file = self.find_file()?;
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = &file {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::from(e).context(format!("the configuration {} can't be read", path.display())))?;
            check_file(path, &text)?;
            figment = figment.merge(Toml::file_exact(path));
        }
        check_environment()?;
        figment = figment.merge(Env::prefixed(ENV_PREFIX).ignore(NOT_SETTINGS).split("__"));
        if let Some(dir) = &self.data_dir {
            figment = figment.merge(Serialized::default("data_dir", dir));
        }
        let mut config: Config = figment.extract().map_err(|e| explain(&e))?;
        config.data_dir = self.anchor(&config.data_dir, &figment);
        config.validate()?;
        Ok(Effective { config, figment, file })
    }

    fn find_file(&self) -> Result<Option<PathBuf>> {
        if let Some(path) = &self.file {
            if !path.is_file() {
                return Err(Error::not_found(format!("the configuration {} does not exist: see --config", path.display())));
            }
            return Ok(Some(path.clone()));
        }
        let beside = self.beside.as_deref().map(|dir| dir.join("millstream.toml"));
        Ok(beside.filter(|path| path.is_file()))
    }

    /// A relative `data_dir` that a file names counts from the file's folder; any other from the current one.
    fn anchor(&self, data_dir: &Path, figment: &Figment) -> PathBuf {
        let source = figment.find_metadata("data_dir").and_then(|m| m.source.as_ref());
        match source.and_then(|s| s.file_path()).and_then(Path::parent) {
            Some(folder) => folder.join(data_dir),
            None => data_dir.to_owned(),
        }
    }
}

/// Refuses what figment would take without a word, with line and column: unknown settings, and sections that come later.
fn check_file(path: &Path, text: &str) -> Result<()> {
    let at = |offset: usize| {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", path.display())
    };
    let table =
        DeTable::parse(text).map_err(|e| Error::invalid(format!("{}: {}", at(e.span().map_or(0, |s| s.start)), e.message().trim())))?;
    check_table(table.get_ref(), "", &at)
}

fn check_table(table: &DeTable<'_>, section: &str, at: &dyn Fn(usize) -> String) -> Result<()> {
    // By place in the file, so that the first mistake is reported first.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let name = if section.is_empty() { key.get_ref().to_string() } else { format!("{section}.{}", key.get_ref()) };
        check_name(&name).map_err(|e| e.context(at(key.span().start)))?;
        match Spanned::get_ref(value) {
            DeValue::Table(inner) => check_table(inner, &name, at)?,
            _ if is_section(&name) => {
                return Err(Error::invalid(format!("{}: {name} is a section: write [{name}] and its settings", at(key.span().start))));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses variables of the environment that name no setting.
fn check_environment() -> Result<()> {
    for (name, _) in Env::prefixed(ENV_PREFIX).ignore(NOT_SETTINGS).split("__").iter() {
        let variable = format!("{ENV_PREFIX}{}", name.as_str().to_uppercase().replace('.', "__"));
        check_name(name.as_str()).map_err(|e| e.context(format!("the environment variable {variable}")))?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let top = name.split('.').next().unwrap_or(name);
    if REAL_ENGINES.contains(&top) {
        return Err(Error::unsupported(format!(
            "[{top}] is not supported yet: real engines come later, and until then every engine is built in; remove the section"
        )));
    }
    if is_setting(name) || is_section(name) {
        return Ok(());
    }
    let hint = match nearest(name) {
        Some(near) => format!("did you mean {near}?"),
        None => "`millstream config print` shows all settings".to_owned(),
    };
    Err(Error::invalid(format!("unknown setting {name}: {hint}")))
}

/// A value that doesn't fit its setting, with its name and origin.
fn explain(error: &figment::Error) -> Error {
    let setting = error.path.join(".");
    let origin = error.metadata.as_ref().map(|m| format!(" (from {})", super::print::origin(m, &setting))).unwrap_or_default();
    Error::invalid(format!("setting {setting}{origin}: {}", error.kind))
}
