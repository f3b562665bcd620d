//! Reading the configuration: defaults, then the file, then the environment, then flags; each layer overrides the ones before.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;
use millstream_core::{Error, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, LATER, is_section, is_setting, nearest};
use super::layers::{FileLayer, Variable};
use super::print::origin;
use super::{Config, conflicts};

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
        let variables = Variable::all();
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = &file {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::from(e).context(format!("the configuration {} can't be read", path.display())))?;
            check_file(path, &text)?;
            figment = figment.merge(FileLayer::new(path, &variables));
        }
        for variable in variables {
            check_name(&variable.setting).map_err(|e| e.context(format!("the environment variable {}", variable.name())))?;
            figment = figment.merge(variable);
        }
        if let Some(dir) = &self.data_dir {
            figment = figment.merge(Serialized::default("data_dir", dir));
        }
        let config: Config = figment.extract().map_err(|e| explain(&e))?;
        let effective = Effective { config, figment, file };
        effective.config.validate()?;
        conflicts::check(&effective)?;
        Ok(effective)
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
}

impl Effective {
    /// Where a setting's value comes from, in few words; `None`: it is the default.
    pub fn origin(&self, setting: &str) -> Option<String> {
        self.figment.find_metadata(setting).map(|m| origin(m, setting)).filter(|origin| origin != "default")
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
        let name = keys::below(section, key.get_ref());
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

fn check_name(name: &str) -> Result<()> {
    let top = name.split('.').next().unwrap_or(name);
    if LATER.contains(&top) {
        return Err(Error::unsupported(format!("[{top}] is not supported yet: remove the section")));
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
    let from = error.metadata.as_ref().map(|m| format!(" (from {})", origin(m, &setting))).unwrap_or_default();
    match &error.kind {
        // Its path is the section's, and the section may not say so itself.
        figment::error::Kind::MissingField(name) => {
            let setting = keys::below(&setting, name);
            Error::invalid(format!("{setting} is not set: {} needs it", keys::section_title(&setting)))
        }
        kind => Error::invalid(format!("setting {setting}{from}: {}", in_words(kind))),
    }
}

/// Without Rust's names of numbers, and without the second backticks around choices.
fn in_words(kind: &figment::error::Kind) -> String {
    let text = kind.to_string().replace("``", "`").replace("signed int ", "").replace("unsigned int ", "");
    let number = ["usize", "u64", "u32", "u16"].into_iter().find_map(|number| text.strip_suffix(&format!("expected {number}")));
    number.map_or_else(|| text.clone(), |rest| format!("{rest}expected a whole number that is not negative"))
}
